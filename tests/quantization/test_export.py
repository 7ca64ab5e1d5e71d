"""A short run, its artifacts, and the commands that make and check them."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.data import load
from adq.data.config import DataConfig
from adq.golden.artifact import read_artifact, verify_artifact
from tests.places import ROOT

pytestmark = pytest.mark.testpoint("artifact.agreement")

RECIPE = """
[training]
seed = 2
epochs = 3
baseline = {baseline}

[controller]
window = 1
max_iterations = 2
settling_epochs = 1
"""


def adq(*arguments) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def make_run(folder, baseline: bool):
    recipe = folder / "recipe.toml"
    recipe.write_text(RECIPE.format(baseline=str(baseline).lower()))
    adq("train", recipe, "--out", folder / "run")
    return folder / "run"


def contents(folder) -> dict:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("with-baseline"), baseline=True)


def test_mixed_precision_export_verifies(run, tmp_path):
    output = adq("export", run, tmp_path / "mixed", "--images", 7)
    assert "0 of 450 classes differ" in output
    artifact = read_artifact(tmp_path / "mixed")
    metrics = json.loads((run / "metrics.json").read_text())
    layers = artifact.network.matrix_layers
    assert {layer.name: layer.weight_bits for layer in layers} == metrics["mixed"]["bits"]
    assert sorted({layer.weight_bits for layer in layers})[0] < 16
    assert {layer.name: layer.density for layer in layers} == {
        **metrics["mixed"]["density"],
        "linear": None,
    }
    assert len(artifact.samples) == 7
    generator = artifact.generator
    assert generator["accuracy"] == pytest.approx(metrics["mixed"]["accuracy"])
    assert generator["test_images"] == 450
    assert generator["differing_classes"] == 0
    assert generator["recipe"]["training"]["seed"] == 2

    output = adq("verify", tmp_path / "mixed", "--out", tmp_path / "verify")
    assert "All integers agree" in output


def test_samples_are_test_images_and_fewer_are_part_of_more(run, tmp_path):
    for count in (3, 9):
        adq("export", run, tmp_path / str(count), "--images", count)
    few, more = (read_artifact(tmp_path / str(count)).samples for count in (3, 9))
    assert np.array_equal(few.inputs, more.inputs[:3])
    images = load(DataConfig(), seed=2, device="cpu")
    scale = read_artifact(tmp_path / "9").network.input_format.scale
    test_set = images.test_batch(slice(None)).numpy()
    for image, label in zip(more.inputs * scale, more.labels, strict=True):
        distance = np.abs(test_set - image).max(axis=(1, 2, 3))
        # Pixels beyond the learned range are clipped, none by more than a little.
        nearest = int(distance.argmin())
        assert distance[nearest] < 0.2
        assert images.test_labels[nearest] == label


def test_exporting_again_gives_the_same_bytes(run, tmp_path):
    for name in ("one", "other"):
        adq("export", run, tmp_path / name, "--images", 2)
    for name in ("manifest.json", "tensors.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_training_and_exporting_again_gives_the_same_bytes(run, tmp_path):
    """`make golden` promises it of the checked-in vectors."""
    again = make_run(tmp_path, baseline=True)
    for name, folder in (("one", run), ("other", again)):
        for bits in ([], ["--bits", 16]):
            adq("export", folder, tmp_path / name / f"at{len(bits)}", "--images", 4, *bits)
    ones = sorted(path for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(ones) == 4
    for one in ones:
        other = tmp_path / "other" / one.relative_to(tmp_path / "one")
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.slow
def test_a_pruned_residual_network_twice_gives_the_same_bytes(tmp_path):
    """`make golden` promises it of the checked-in residual network, too; here on a few images."""
    recipe = ROOT / "configs" / "train" / "digits32-resnet8.toml"
    changes = [
        *("training.epochs=2", "training.warmup_epochs=0", "data.train_images=64"),
        *("data.test_images=16", "controller.window=1", "controller.settling_epochs=1"),
    ]
    for name in ("one", "other"):
        sets = [word for change in changes for word in ("--set", change)]
        adq("train", recipe, "--out", tmp_path / "run" / name, *sets)
        adq("export", tmp_path / "run" / name, tmp_path / name, "--images", 1)
    one, other = (contents(tmp_path / name) for name in ("one", "other"))
    assert list(one.values()) == list(other.values())
    artifact = read_artifact(tmp_path / "one")
    assert all(node.agrees for node in verify_artifact(artifact))
    layers = {layer.name: layer for layer in artifact.network.matrix_layers}
    joined = [name for name, layer in layers.items() if layer.requantize and layer.requantize.skip]
    assert joined == ["block1.conv2", "block2.conv2", "block3.conv2"]
    assert 8 <= layers["block1.conv2"].outputs < 16


def test_uniform_export_at_the_baselines_bits_is_the_baseline(run, tmp_path):
    adq("export", run, tmp_path / "wide", "--bits", 16, "--images", 2)
    artifact = read_artifact(tmp_path / "wide")
    metrics = json.loads((run / "metrics.json").read_text())
    assert [layer.weight_bits for layer in artifact.network.matrix_layers] == [16] * 4
    assert artifact.generator["checkpoint"] == "baseline.pt"
    assert artifact.generator["accuracy"] == pytest.approx(metrics["baseline"]["accuracy"])
    assert artifact.generator["differing_classes"] == 0


def test_uniform_export_without_a_baseline_takes_the_mixed_network(tmp_path):
    run = make_run(tmp_path, baseline=False)
    assert not (run / "baseline.pt").exists()
    assert "baseline" not in json.loads((run / "metrics.json").read_text())
    for bits in (2, 4, 12):
        adq("export", run, tmp_path / "uniform", "--bits", bits, "--images", 2)
        artifact = read_artifact(tmp_path / "uniform")
        assert [layer.weight_bits for layer in artifact.network.matrix_layers] == [bits] * 4
        assert artifact.generator["checkpoint"] == "checkpoint.pt"
        # At 2 bits many logits are equal: the first of the largest must be the same one.
        assert artifact.generator["differing_classes"] == 0


def test_a_recipe_that_cannot_run_leaves_the_old_run_alone(run, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[training]\nepochs = 1\ndevice = "abacus"\n')
    before = contents(run)
    result = CliRunner().invoke(main, ["train", str(recipe), "--out", str(run), "--overwrite"])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: device 'abacus' cannot be used")
    assert contents(run) == before


def test_more_images_than_there_are(run, tmp_path):
    result = CliRunner().invoke(
        main, ["export", str(run), str(tmp_path / "new"), "--images", "451"]
    )
    assert result.exit_code == 2
    assert result.stderr == "error: images is 451: the test set has 1 to 450\n"
    assert not (tmp_path / "new").exists()


def test_evaluate_runs_the_whole_test_set_in_integers(run, tmp_path):
    metrics = json.loads((run / "metrics.json").read_text())
    for number, (arguments, figures) in enumerate(
        [
            ([], {"accuracy"}),
            (["--integer"], {"accuracy", "integer_accuracy", "differing_classes"}),
            (["--integer", "--onnx", "--bits", 16], {"accuracy", "integer_accuracy", "onnx"}),
        ]
    ):
        out = tmp_path / str(number)
        output = adq("evaluate", run, "--out", out, *arguments)
        (path,) = out.rglob("*.json")
        result = json.loads(path.read_text())
        assert figures <= result.keys()
        network = "baseline" if "--bits" in arguments else "mixed"
        assert result["test_images"] == 450
        assert result["accuracy"] == pytest.approx(metrics[network]["accuracy"])
        assert f"{result['accuracy']:.2%}" in output
    # At 16 bits the digits are classified alike, and every integer is ONNX Runtime's.
    assert result["differing_classes"] == 0
    assert result["onnx"]["images"] == 450
    assert result["onnx"]["agrees"]
    assert "ONNX Runtime: 0 of 2,078,550 integers differ" in output


def test_evaluate_finds_integers_that_differ(run, tmp_path, monkeypatch):
    from adq.golden import integer_network

    recompute = integer_network.run

    def with_a_fault(network, inputs):
        trace = recompute(network, inputs)
        trace.outputs["conv2"][0, 0, 0, 0] ^= 1
        return trace

    monkeypatch.setattr("adq.artifacts.verification.integer_network.run", with_a_fault)
    result = CliRunner().invoke(
        main, ["evaluate", str(run), "--integer", "--onnx", "--out", str(tmp_path)]
    )
    assert result.exit_code == 1
    assert "ONNX Runtime: 2 of 2,078,550 integers differ" in result.output  # one a batch
