"""Costs by arithmetic, against arithmetic by hand."""

import dataclasses
import json
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional
from typer.testing import CliRunner

import adq
from adq.cli import main
from adq.cost.architectures import listed_work
from adq.cost.cost_table import to_json
from adq.cost.metrics import cost_metrics, training_complexity
from adq.cost.models import analytical_energy, pim_bits, pim_energy
from adq.cost.sources import CostError, architecture_work, artifact_work, module_work, read_networks
from adq.cost.work import LayerWork, NetworkWork
from adq.golden.artifact import read_artifact
from adq.models import ARCHITECTURES, ModelError, build
from adq.quantization.integers import integer_network
from adq.runs.checkpoint import Checkpoint
from adq.training.config import ModelConfig, Recipe, TrainingConfig
from tests.places import ROOT

pytestmark = pytest.mark.testpoint(
    reason="Costs, reports and this machine's tools: software above the contracts."
)

VECTORS = ROOT / "golden" / "vectors" / "digits"


@pytest.mark.parametrize(
    ("bits", "expected"),
    [(2, 2.942), (3, 16.968), (4, 16.968), (5, 66.714), (8, 66.714), (9, 276.676), (16, 276.676)],
)
def test_pim_energy_of_a_thousand_macs(bits, expected):
    assert pim_energy(1000, bits) == expected  # pJ


def test_the_platform_has_16_bits_at_most():
    with pytest.raises(ValueError, match="17 bits: the platform computes at most 16"):
        pim_bits(17)


def test_analytical_energy():
    # 10 MACs at 16 bits: 1.55 + 0.1 = 1.65 pJ each; 3 accesses of 40 pJ.
    assert analytical_energy(10, 3, 16) == pytest.approx(16.5 + 120)
    # At 2 bits: 0.19375 + 0.1 pJ each; 5 pJ an access.
    assert analytical_energy(10, 3, 2) == pytest.approx(2.9375 + 15)


LAYERS = (
    LayerWork(
        name="a", channels=4, macs=1000, inputs=50, weights=20, weight_bits=16, activation_bits=16
    ),
    LayerWork(
        name="b", channels=2, macs=3000, inputs=70, weights=30, weight_bits=3, activation_bits=4
    ),
)


def test_quantities_of_a_layer():
    narrow = LAYERS[1]
    assert narrow.bits == 4  # of the wider operand
    assert narrow.mac_bits == 12_000
    assert narrow.bit_operations == 36_000
    assert narrow.pim_pj == pytest.approx(50.904)
    assert narrow.analytical_pj == pytest.approx(3000 * 0.4875 + 100 * 10)


def test_reductions():
    network = NetworkWork.of("some", LAYERS)
    # 4000 MACs at 16 bits over 1000 at 16 and 3000 at 4
    assert network.reduction("mac_bits") == 64_000 / 28_000
    assert network.reduction("macs") == 1
    assert network.reduction("pim_pj") == pytest.approx(4000 * 276.676 / (276_676 + 50_904))
    pruned = NetworkWork.of("pruned", LAYERS[:1], LAYERS)
    assert pruned.reduction("macs") == 4
    assert pruned.baseline_name == "16 bits and all channels"
    assert to_json(pruned)["baseline"]["total"]["macs"] == 4000
    json.dumps(to_json(pruned))


def epoch(bits, macs=(100, 300)):
    return types.SimpleNamespace(
        bits=dict(zip("ab", bits, strict=True)), macs=dict(zip("ab", macs, strict=True))
    )


def test_training_complexity_is_the_papers_sum():
    # Reductions: 1; 6400 / (1600 + 2400) = 1.6; pruned: 6400 / (1600 + 4 * 150) = 2.909...
    history = [epoch((16, 16))] * 4 + [epoch((16, 8))] * 3 + [epoch((16, 4), (100, 150))] * 5
    expected = (4 / 1 + 3 / 1.6 + 5 / (6400 / 2200)) / 12
    assert training_complexity(history) == pytest.approx(expected)
    assert training_complexity(history, baseline_epochs=6) == pytest.approx(2 * expected)


def test_a_baselines_training_is_the_measure():
    metrics = cost_metrics([epoch((16, 16))] * 3)
    assert metrics.pop("pim_energy_uj") == pytest.approx(400 * 276.676e-9)
    assert set(metrics.values()) == {1.0}


def test_metrics_of_a_run():
    metrics = cost_metrics([epoch((16, 16)), epoch((16, 4), (100, 150))])
    assert metrics["mac_reduction"] == pytest.approx(6400 / 2200)
    assert metrics["bit_operation_reduction"] == pytest.approx(400 * 256 / (100 * 256 + 150 * 16))
    energy = 100 * 276.676 + 150 * 16.968
    assert metrics["pim_energy_uj"] == pytest.approx(energy / 1e9)
    assert metrics["pim_energy_reduction"] == pytest.approx(400 * 276.676 / energy)


def test_a_run_that_begins_below_16_bits_is_measured_against_16():
    assert cost_metrics([epoch((8, 8))])["mac_reduction"] == 2
    assert cost_metrics([epoch((8, 8))])["training_complexity"] == 0.5


class Odd(nn.Module):
    """Strides, groups, a shared input, functional operations."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, (3, 5), stride=2, padding=(1, 2))
        self.grouped = nn.Conv2d(8, 12, 3, groups=4)
        self.skip = nn.Conv2d(8, 12, 1)
        self.unused = nn.Linear(5, 5)
        self.last = nn.Linear(12, 7)

    def forward(self, x):
        x = functional.relu(self.first(x))  # (N, 8, 5, 6)
        x = functional.relu(self.grouped(x)) + self.skip(x)[:, :, 1:-1, 1:-1]  # (N, 12, 3, 4)
        return self.last(x.mean((2, 3)))


def test_any_module():
    module = Odd()
    layers = {layer.name: layer for layer in module_work(module, (3, 10, 12), bits=4)}
    assert list(layers) == ["first", "grouped", "skip", "last"]
    assert {name: layer.macs for name, layer in layers.items()} == {
        "first": 8 * 5 * 6 * 3 * 3 * 5,
        "grouped": 12 * 3 * 4 * 2 * 9,
        "skip": 12 * 5 * 6 * 8,
        "last": 12 * 7,
    }
    assert [layer.inputs for layer in layers.values()] == [360, 240, 240, 12]
    assert [layer.weights for layer in layers.values()] == [360, 216, 96, 84]
    assert [layer.channels for layer in layers.values()] == [8, 12, 12, 7]
    assert {layer.bits for layer in layers.values()} == {4}
    # The module itself is as it was.
    assert module(torch.zeros(1, 3, 10, 12)).shape == (1, 7)


def test_a_module_without_layers_is_told_so():
    with pytest.raises(CostError, match=r"ReLU runs no Conv2d and no Linear module: give the"):
        module_work(nn.ReLU(), (3, 4, 4))


def test_an_artifacts_layers():
    network = read_artifact(VECTORS / "mixed").network
    work = artifact_work(network, name="digits")
    # 3x3 convolutions of 8x8 images, padded: 1 -> 16, pooled, 16 -> 32, 32 -> 32, pooled.
    assert [layer.macs for layer in work.layers] == [64 * 144, 16 * 4608, 16 * 9216, 1280]
    assert [layer.inputs for layer in work.layers] == [64, 256, 512, 128]
    assert all(layer.density is not None for layer in work.layers[:-1])


VGG19 = [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"]


def vgg19_macs() -> int:
    side, channels, macs = 32, 3, 0
    for entry in VGG19:
        if entry == "M":
            side //= 2
        else:
            macs += side * side * 9 * channels * entry
            channels = entry
    return macs + 512 * 10


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_lists_give_the_layers_of_the_modules_built_of_them(name):
    layers = module_work(build(name, (3, 37, 32), 10), (3, 37, 32))
    assert listed_work(name, (3, 37, 32), 10) == layers
    fewer = {
        layer.name: layer.channels - 3
        for layer in layers[:-1]
        if layer.name.startswith("conv") or layer.name.endswith("1.conv1")
    }
    if not name.startswith("resnet"):
        module = build(name, (3, 37, 32), 10, channels=fewer)
        assert listed_work(name, (3, 37, 32), 10, fewer) == module_work(module, (3, 37, 32))


@pytest.mark.parametrize(
    ("name", "image", "channels", "message"),
    [
        ("vgg19", (3, 16, 32), {}, "images of 16x32 are too small for 5 poolings"),
        ("resnet20", (3, 32, 32), {"conv1": 15}, "a skip connection adds 15 channels to 16"),
    ],
)
def test_lists_are_refused_as_modules_are(name, image, channels, message):
    for refuse in (
        lambda: build(name, image, 10, channels=channels),
        lambda: listed_work(name, image, 10, channels),
    ):
        with pytest.raises(ModelError, match=message):
            refuse()


def test_the_papers_vgg19():
    assert vgg19_macs() == 398_136_320
    network = architecture_work("vgg19", input_shape=(3, 32, 32), classes=10)
    assert network.total("macs") == 398_136_320
    assert network.total("pim_pj") / 1e6 == pytest.approx(110.154, rel=1e-5)  # uJ


def test_the_papers_resnet18():
    """The paper's total is that of one more 1x1 convolution on every skip without one."""
    network = architecture_work("resnet18", input_shape=(3, 32, 32), classes=100)
    assert network.total("macs") == 555_468_800
    sides, widths = (32, 16, 8, 4), (64, 128, 256, 512)
    # Two blocks of 64 channels, and the second one of 128, 256 and 512.
    more = [2, 1, 1, 1]
    skips = sum(n * side**2 * w**2 for n, side, w in zip(more, sides, widths, strict=True))
    energy = pim_energy(network.total("macs") + skips, 16) / 1e6
    assert energy == pytest.approx(159.501, rel=1e-3)


def test_precisions_and_channels_of_an_architecture():
    network = architecture_work(
        "vgg9",
        input_shape=(3, 32, 32),
        classes=10,
        bits=[16, 4, 3, 3, 2, 2, 16],
        channels=[32, 20, 30, 30, 40, 9],
    )
    assert [layer.bits for layer in network.layers] == [16, 4, 3, 3, 2, 2, 16]
    assert [layer.macs for layer in network.layers] == [
        32 * 32 * 9 * 3 * 32,
        32 * 32 * 9 * 32 * 20,
        16 * 16 * 9 * 20 * 30,
        16 * 16 * 9 * 30 * 30,
        8 * 8 * 9 * 30 * 40,
        8 * 8 * 9 * 40 * 9,
        4 * 4 * 9 * 10,
    ]
    assert network.baseline_total("macs") == 38_653_952


def test_densities_lower_an_architectures_precisions_once():
    network = architecture_work(
        "digits", input_shape=(1, 8, 8), classes=10, bits=[8], densities=[0.9, 0.45, 0.1]
    )
    assert [layer.bits for layer in network.layers] == [8, 4, 2, 8]
    assert [layer.density for layer in network.layers] == [0.9, 0.45, 0.1, None]


def checkpoint(path: Path, **values) -> Path:
    """A checkpoint as far as it decides costs: without weights."""
    recipe = Recipe(training=TrainingConfig(epochs=1), model=ModelConfig(name="digits"))
    channels = {"conv1": 16, "conv2": 20, "conv3": 8, "linear": 10}
    Checkpoint(
        network="mixed",
        recipe=dataclasses.asdict(recipe),
        input_shape=(1, 8, 8),
        classes=10,
        channels=channels,
        bits={"conv1": 16, "conv2": 5, "conv3": 2, "linear": 16},
        state={},
        densities={"conv1": 0.5, "conv2": 0.25, "conv3": 0.125},
        epoch=1,
        history=[],
        controller={},
        seconds=1.0,
        progress=None,
        **values,
    ).save(path)
    return path


def test_a_checkpoint_is_compared_with_its_unpruned_self(tmp_path):
    (network,) = read_networks(checkpoint(tmp_path / "some.pt"))
    macs = [64 * 9 * 16, 16 * 9 * 16 * 20, 16 * 9 * 20 * 8, 4 * 8 * 10]
    assert [layer.macs for layer in network.layers] == macs
    assert [layer.bits for layer in network.layers] == [16, 5, 2, 16]
    assert [layer.density for layer in network.layers] == [0.5, 0.25, 0.125, None]
    assert network.baseline_total("macs") == 64 * 144 + 16 * 4608 + 16 * 9216 + 1280
    assert {layer.bits for layer in network.baseline} == {16}


def test_a_run_holds_one_or_two_checkpoints(tmp_path):
    checkpoint(tmp_path / "checkpoint.pt")
    assert [network.name for network in read_networks(tmp_path)] == [
        str(tmp_path / "checkpoint.pt")
    ]
    checkpoint(tmp_path / "baseline.pt")
    assert len(read_networks(tmp_path)) == 2


@pytest.mark.parametrize("name", ["digits", "vgg11", "resnet20"])
def test_training_and_integers_count_the_same_macs(name):
    model = build(name, (3, 32, 32), 10)
    layers = {layer.name: layer.macs for layer in module_work(model, (3, 32, 32))}
    prepared = adq.prepare(model, torch.zeros(1, 3, 32, 32))
    assert prepared.macs == layers
    with torch.no_grad():
        prepared.model(torch.rand(8, 3, 32, 32))  # finds ranges
    prepared.model.eval()
    integers = artifact_work(integer_network(prepared, name=name), name=name)
    assert {layer.name: layer.macs for layer in integers.layers} == layers


def cost(folder, *arguments):
    result = CliRunner().invoke(main, ["cost", *arguments, "--out", str(folder)])
    written = folder / "cost.json"
    return result, json.loads(written.read_text())["networks"] if written.exists() else None


def test_the_command_on_an_artifact(tmp_path):
    result, networks = cost(tmp_path, str(VECTORS / "mixed"), str(VECTORS / "16bit"))
    assert result.exit_code == 0
    mixed, uniform = networks
    assert uniform["mac_reduction"] == 1
    assert mixed["baseline"]["total"] == uniform["total"]
    assert mixed["pim_energy_reduction"] == pytest.approx(
        uniform["total"]["pim_pj"] / mixed["total"]["pim_pj"]
    )
    assert f"{mixed['pim_energy_reduction']:.2f}x" in result.stdout


@pytest.mark.parametrize("source", [[str(VECTORS / "mixed")], ["--arch", "vgg19"]])
def test_artifacts_and_architectures_need_no_pytorch(source, tmp_path):
    code = (
        "import sys; sys.modules['torch'] = None; from adq.cli import main; "
        f"main(['cost', *{source!r}, '--out', {str(tmp_path)!r}])"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert (tmp_path / "cost.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to count: give a run, a checkpoint, an artifact, or --arch vgg19"),
        (["absent"], "absent: is no artifact, run or checkpoint: give the folder of one that"),
        (["--arch", "vgg"], "architecture 'vgg': it must be one of digits, vgg9"),
        (["--arch", "digits", "--bits", "1"], "bits 1: it must be 2 to 16"),
        (["--arch", "digits", "--bits", "4,x"], "--bits 4,x: it must be numbers, as in 16,4,2"),
        (
            ["--arch", "digits", "--bits", "4,3"],
            "bits: 2 are given; give 1, or 4, one for each of conv1, conv2, conv3, linear",
        ),
        (["--arch", "digits", "--density", "1.5"], "density 1.5: it must be 0 to 1"),
        (["--arch", "digits", "--channels", "0"], "channels 0: it must be at least 1"),
        (["--arch", "digits", "--input", "8x8"], "--input 8x8: it must be channels, rows and col"),
        (
            [
                "--arch",
                "resnet20",
                "--channels",
                ",".join(["16"] * 7 + ["32", "32", "9"] + ["32"] * 11),
            ],
            "channels 9 of block4.shortcut.conv: it adds to 32 others, so that it must have",
        ),
    ],
)
def test_what_the_command_cannot_count(tmp_path, arguments, message):
    result, networks = cost(tmp_path, *arguments)
    assert result.exit_code == 2
    assert networks is None
    assert message in " ".join(result.stderr.split())


def test_an_empty_folder_is_no_network(tmp_path):
    with pytest.raises(ValueError, match="is no artifact, run or checkpoint"):
        read_networks(tmp_path)
