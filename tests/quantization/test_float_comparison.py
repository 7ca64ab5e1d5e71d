"""A user's own network in floating point beside the integers: where they part."""

import copy
import json

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import adq
from adq.artifacts.float_comparison import compare_with_float, load_network, parting
from adq.benchmarks.named_networks import NETWORKS
from adq.cli import main
from adq.export import export_network
from adq.golden.artifact import read_artifact

pytestmark = pytest.mark.testpoint("artifact.agreement")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A network with heads, poolings and a trunk, at 16 bits, and its artifact."""
    torch.manual_seed(3)
    named = NETWORKS["two heads"]
    network, images = named.build(), torch.randn(8, *named.shape)
    prepared = adq.prepare(network, images)
    for _ in range(3):
        prepared.model.train()(images)
    prepared.model.eval()
    folder = tmp_path_factory.mktemp("artifact") / "it"
    export_network(prepared, folder, name="it", images=images[:5])
    return network.eval(), folder


def test_a_network_agrees_with_its_own_integers(exported):
    network, folder = exported
    differences = compare_with_float(read_artifact(folder), network)
    assert [each.node for each in differences] == [
        "trunk.0.0", "trunk.1.0", "mean_pool", "label", "box",
    ]  # fmt: skip
    assert max(each.error for each in differences) < 1e-3
    assert parting(differences, 1e-3) is None


def test_the_layer_that_was_changed_is_the_first_that_parts(exported):
    network, folder = exported
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.trunk[1][0].weight[0] += 1.0
    differences = compare_with_float(read_artifact(folder), other)
    assert parting(differences, 0.05).node == "trunk.1.0"
    assert differences[0].error < 1e-3


def test_the_error_is_that_of_the_tensors(exported):
    network, folder = exported
    artifact = read_artifact(folder)
    images = torch.from_numpy(
        artifact.samples.inputs.astype(np.float32)
    ) * artifact.network.input_format.scale  # fmt: skip
    with torch.no_grad():
        own = network.trunk[0](images).double().numpy()
    mine = artifact.samples.outputs["trunk.0.0"] * artifact.network.formats["trunk.0.0"].scale
    expected = np.linalg.norm(own - mine) / np.linalg.norm(own)
    found = compare_with_float(artifact, network)[0].error
    assert found == pytest.approx(expected, rel=1e-3)


def test_another_network_is_refused(exported):
    _, folder = exported
    with pytest.raises(adq.PrepareError, match="conv1: the artifact has no such layer"):
        compare_with_float(read_artifact(folder), NETWORKS["resnet8"].build())


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("mine", "'mine': write it as module:function"),
        ("no_such_module:it", "no_such_module: cannot be imported"),
        ("json:nothing", "json has no function nothing"),
        ("os:getcwd", "os:getcwd gives a str, no torch.nn.Module"),
    ],
)
def test_what_is_no_network_is_named(reference, message):
    with pytest.raises(adq.PrepareError) as caught:
        load_network(reference)
    assert str(caught.value).startswith(message)


def test_the_command_says_where_they_part(exported, tmp_path, monkeypatch):
    network, folder = exported
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    (tmp_path / "my_own.py").write_text(
        "import torch\n"
        "from adq.benchmarks.named_networks import TwoHeads\n"
        "def trained():\n"
        "    network = TwoHeads()\n"
        "    network.load_state_dict(torch.load('weights.pt'))\n"
        "    return network\n"
        "def changed():\n"
        "    network = trained()\n"
        "    network.box.weight.data.neg_()\n"
        "    return network\n"
    )
    monkeypatch.chdir(tmp_path)
    command = ["verify", str(folder), "--out", str(tmp_path / "out"), "--module"]
    good = CliRunner().invoke(main, [*command, "my_own:trained"])
    assert good.exit_code == 0, good.output
    assert "All layers are within 0.1 of my_own:trained." in good.output
    bad = CliRunner().invoke(main, [*command, "my_own:changed"])
    assert bad.exit_code == 1, bad.output
    assert "They part at box" in bad.output
    (result,) = (tmp_path / "out").rglob("*.json")
    assert json.loads(result.read_text())["parts_at"] == "box"
    assert isinstance(network, nn.Module)
