"""The README's loop, word for word, on a network that the package does not ship."""

import re

import pytest
import torch

import adq
from adq.data import load
from adq.data.config import DataConfig
from adq.export import export_network
from adq.golden.artifact import read_artifact
from adq.golden.verify import verify_artifact
from tests.places import ROOT
from tests.quantization.user_networks import Residual

pytestmark = pytest.mark.testpoint("artifact.agreement")

README = ROOT / "README.md"
EPOCHS = 16


def readme_loop() -> str:
    """The Python of the README's section on one's own network."""
    section = README.read_text(encoding="utf-8").split("## Your own network")[1].split("\n## ")[0]
    return re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]


def test_the_readmes_loop_lowers_bits_prunes_and_exports(tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = load(DataConfig(), seed=0, device="cpu")
    generator = torch.Generator().manual_seed(0)
    test_images, test_labels = data.test_batch(slice(None)), data.test_labels
    seen = []

    def train_one_epoch(model, optimizer):
        model.train()
        for batch in torch.randperm(len(data.train_labels), generator=generator).split(64):
            images = data.train_batch(batch, data.draw(len(batch), generator))
            loss = torch.nn.functional.cross_entropy(model(images), data.train_labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seen.append(loss.item())

    names = {
        "MyNetwork": lambda: Residual(channels=1, width=8),
        "train_one_epoch": train_one_epoch,
        "images": test_images[:50],
        "labels": test_labels[:50],
        "epochs": EPOCHS,
        "folder": tmp_path / "mine",
    }
    try:
        exec(readme_loop(), names)
    finally:
        torch.set_num_threads(threads)

    prepared = names["prepared"]
    assert len(seen) == EPOCHS
    assert names["controller"].iteration > 1
    assert min(prepared.bits.values()) < 16
    assert prepared.bits["stem.0"] == prepared.bits["fc"] == 8
    assert prepared.channels["block3.conv1"] < 32
    prepared.model.eval()
    with torch.no_grad():
        classes = prepared.model(test_images).argmax(1)
    # About 0.8 is reached, a little less on some processors than on others.
    assert (classes == test_labels).double().mean() > 0.75

    artifact = read_artifact(tmp_path / "mine")
    assert all(node.agrees for node in verify_artifact(artifact))
    assert {layer.name: layer.weight_bits for layer in artifact.network.matrix_layers} == (
        prepared.bits
    )
    assert (artifact.samples.classes == classes[:50].numpy()).mean() >= 0.98


def test_export_of_ones_own_network_can_be_run_again(tmp_path):
    torch.manual_seed(0)
    images = torch.randn(8, 1, 8, 8)
    prepared = adq.prepare(Residual(channels=1), images[:1])
    prepared.model.train()(images)
    written = export_network(
        prepared, tmp_path / "mine", name="mine", images=images, labels=torch.zeros(8)
    )
    read = read_artifact(tmp_path / "mine")
    assert (read.samples.logits == written.samples.logits).all()
    assert read.generator["name"] == "adq"
