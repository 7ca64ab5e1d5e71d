import dataclasses
import json

import pytest
from typer.testing import CliRunner

from adq.artifacts import verification
from adq.cli import main
from adq.golden import integer_network
from adq.golden.artifact import GRAPHS, ArtifactError, read_artifact, write_artifact
from adq.golden.verify import doubts, verify_artifact
from tests.places import ROOT

pytestmark = pytest.mark.testpoint("artifact.agreement")

VECTORS = ROOT / "golden" / "vectors"
DIGITS = VECTORS / "digits"


@pytest.fixture
def artifact(tmp_path):
    write_artifact(tmp_path / "mixed", read_artifact(DIGITS / "mixed"))
    return tmp_path / "mixed"


def adq(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def verify(directory, *arguments, out):
    result = adq("verify", directory, "--out", out, *arguments)
    (report,) = out.rglob("*.json")
    return result, json.loads(report.read_text())


@pytest.mark.parametrize(
    ("name", "samples", "random"),
    [("digits/mixed", 4, 300), ("digits/16bit", 4, 300), ("resnet8", 2, 40)],
)
def test_three_implementations_agree_on_the_checked_in_artifacts(name, samples, random, tmp_path):
    result, report = verify(VECTORS / name, "--random", random, out=tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "All integers agree: numpy, onnx, qonnx" in result.output
    assert report["agrees"]
    runs = [(r["implementation"], r["against"], r["images"]) for r in report["results"]]
    assert runs == [
        ("numpy", "samples", samples),
        ("onnx", "samples", samples),
        ("qonnx", "samples", samples),
        ("onnx", "numpy", random),
    ]
    network = read_artifact(VECTORS / name).network
    for run in report["results"]:
        assert [node["node"] for node in run["nodes"]] == [node.name for node in network.nodes]
        assert sum(node["integers"] for node in run["nodes"]) > 4000 * run["images"]


def test_verify_says_which_node_differs(artifact, tmp_path, monkeypatch):
    recompute = integer_network.run

    def with_a_fault(network, inputs):
        trace = recompute(network, inputs)
        trace.accumulators["conv2"][1, 5, 2, 3] += 1
        return trace

    monkeypatch.setattr(verification.integer_network, "run", with_a_fault)
    result, report = verify(artifact, out=tmp_path / "out")
    assert result.exit_code == 1
    assert "Integers differ" in result.output
    assert "numpy, conv2: accumulator of image 1 at (5, 2, 3) is" in result.output
    assert report["agrees"] is False
    by_numpy, by_onnx, _ = report["results"]
    assert {n["node"]: n["differing"] for n in by_numpy["nodes"] if n["differing"]} == {"conv2": 1}
    assert by_onnx["agrees"]


def test_artifacts_of_one_name_have_results_of_their_own(tmp_path):
    for folder in ("a", "b"):
        write_artifact(tmp_path / folder / "mixed", read_artifact(DIGITS / "mixed"))
        assert adq("verify", tmp_path / folder / "mixed", "--out", tmp_path / "out").exit_code == 0
    assert len(list((tmp_path / "out").rglob("*.json"))) == 2


def test_what_is_not_installed_is_said(artifact, tmp_path, monkeypatch):
    monkeypatch.setattr("adq.artifacts.verification.importlib.util.find_spec", lambda name: None)
    result, report = verify(artifact, out=tmp_path / "out")
    assert result.exit_code == 0
    assert "Not run: onnx: onnx is not installed: pip install -e '.[onnx]'" in result.output
    assert list(report["not_run"]) == ["onnx", "qonnx"]
    result = adq("verify", artifact, "--random", 5, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "onnxruntime is not installed, which this command needs" in result.stderr


def test_graphs_are_part_of_the_artifact(artifact, tmp_path):
    integers = read_artifact(artifact).samples.logits
    result = adq("onnx", artifact)
    assert result.exit_code == 0, result.output
    for name in GRAPHS.values():
        written = f"{artifact / name},{(artifact / name).stat().st_size:,}bytes"
        assert written in "".join(result.output.split())  # the console breaks long lines
    assert (read_artifact(artifact).samples.logits == integers).all()
    assert verify(artifact, out=tmp_path / "out")[0].exit_code == 0
    # An artifact with graphs is an artifact: it can be replaced, and then has none.
    before = (artifact / GRAPHS["onnx"]).read_bytes()
    adq("onnx", artifact, "--no-qonnx")
    assert {path.name for path in artifact.iterdir()} == {
        "manifest.json", "tensors.safetensors", GRAPHS["onnx"],
    }  # fmt: skip
    assert (artifact / GRAPHS["onnx"]).read_bytes() == before
    damaged = bytearray(before)
    damaged[len(before) // 2] ^= 1
    (artifact / GRAPHS["onnx"]).write_bytes(damaged)
    with pytest.raises(ArtifactError, match=r"network\.onnx: its sha256 is not the one"):
        read_artifact(artifact)


def changed(artifact, **fields):
    """The same network, with fields of conv2 changed and signed anew."""
    found = read_artifact(artifact)
    nodes = [
        dataclasses.replace(node, **fields) if node.name == "conv2" else node
        for node in found.network.nodes
    ]
    network = dataclasses.replace(found.network, nodes=tuple(nodes))
    write_artifact(artifact, dataclasses.replace(found, network=network))


@pytest.mark.parametrize(
    ("fields", "doubt"),
    [
        ({"weight_bits": 7}, "conv2: says weights of 7 bits, but none needs more than 2"),
        ({"density": 0.05}, "conv2: says a density of 0.050, but 0.384 of its outputs are not"),
        ({"density": 0.9}, "conv2: says a density of 0.900, but 0.384 of its outputs are not"),
    ],
)
def test_what_the_integers_speak_against_is_said(artifact, tmp_path, fields, doubt):
    changed(artifact, **fields)
    result, report = verify(artifact, out=tmp_path / "out")
    assert result.exit_code == 0
    assert f"Doubtful: {doubt}" in " ".join(result.output.split())
    assert len(report["doubts"]) == 1


@pytest.mark.parametrize("name", ["digits/mixed", "digits/16bit", "resnet8"])
def test_the_checked_in_artifacts_are_not_doubted(name):
    assert doubts(read_artifact(VECTORS / name)) == []


def test_an_implementation_that_ran_fewer_images_does_not_agree():
    artifact = read_artifact(VECTORS / "digits" / "mixed")

    def first_image(network, inputs):
        return integer_network.run(network, inputs[:1])

    nodes = verify_artifact(artifact, first_image)
    assert all(node.differing == node.integers for node in nodes)
    assert nodes[0].first_difference.startswith("accumulators are of shape (4, 16, 8, 8), computed")
