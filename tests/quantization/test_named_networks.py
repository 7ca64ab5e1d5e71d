"""Networks that people bring, through the whole chain but the simulation.

From ``prepare`` through training batches at mixed precisions to the artifact, three
implementations of its integers, jobs of the tile and their energy.
"""

import json

import pytest
import torch
from typer.testing import CliRunner

import adq
from adq.artifacts.verification import Verification
from adq.benchmarks.named_networks import NETWORKS
from adq.cli import main
from adq.export import export_network

LARGE = ("mobilenetv1", "resnet20-a", "resnet20-b", "resnet56-a", "resnet18")
"""One image, and no QONNX, whose executor starts a session a node. They run with the slow tests."""

LAYERS = {
    "resnet8": 10, "mobilenetv1": 28, "ds-cnn": 10, "autoencoder": 10, "lenet5": 5,
    "resnet20-a": 20, "resnet20-b": 22, "resnet56-a": 56, "mobilenetv2": 23, "mobilenetv3": 14,
    "squeezenet": 11, "unet": 11, "conv1d": 4, "two heads": 4, "shufflenet": 6, "densenet": 5,
    "convolution last": 4, "resnet18": 21,
}  # fmt: skip
"""Convolutions and linear layers of each, counted by hand."""


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in NETWORKS],
)
def test_from_prepare_to_energy(name, tmp_path):
    torch.manual_seed(11)
    named, large = NETWORKS[name], name in LARGE
    network, images = named.build(), torch.randn(2 if large else 6, *named.shape)
    prepared = adq.prepare(network, images[:1])
    assert len(prepared.layers) == LAYERS[name]
    for _ in range(2):
        prepared.model.train()(images)
    prepared.model.eval()
    with torch.no_grad():
        real, trained = network.eval()(images), prepared.model(images)
    for one, other in zip(*map(torch.utils._pytree.tree_leaves, (real, trained)), strict=True):
        # At 16 bits, with tables of 12: the network as it was given.
        assert (one - other).abs().max() < 0.05 * one.abs().max()

    middle = prepared.layers[1:-1]
    prepared.set_bits({layer: (8, 4, 5, 3)[i % 4] for i, layer in enumerate(middle)})
    prepared.model.train()(images)
    folder = tmp_path / "artifact"
    export_network(prepared, folder, name="named", images=images[: 1 if large else 2])
    verification = Verification(folder)
    for implementation in ("numpy", "onnx") if large else ("numpy", "onnx", "qonnx"):
        assert verification.samples(implementation).agrees, implementation

    for command in ("map",) if large else ("map", "energy"):
        result = CliRunner().invoke(main, [command, str(folder), "--out", str(tmp_path / command)])
        assert result.exit_code == 0, result.output
    assert large or json.loads(next((tmp_path / "energy").rglob("*.json")).read_text())


def test_train_and_evaluation_agree_on_what_is_pruned():
    """Concatenated, gated and depthwise channels leave together."""
    torch.manual_seed(12)
    for name in ("squeezenet", "mobilenetv3", "unet"):
        named = NETWORKS[name]
        images = torch.randn(3, *named.shape)
        prepared = adq.prepare(named.build(), images[:1])
        group = prepared.groups[0]
        prepared.prune({group[0]: prepared.channels[group[0]] // 2})
        prepared.model.train()(images)


@pytest.mark.parametrize("name", ["shufflenet", "resnet20-a"])
def test_channels_that_are_indexed_stay(name):
    named = NETWORKS[name]
    prepared = adq.prepare(named.build(), torch.randn(1, *named.shape))
    layer = {"shufflenet": "stem.0", "resnet20-a": "conv1"}[name]
    assert not any(layer in group for group in prepared.groups)
    with pytest.raises(adq.PrepareError, match="its channels are indexed in forward"):
        prepared.prune({layer: 4})
