import copy
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adq.golden import artifact as artifacts
from adq.golden import manifest as manifests
from adq.golden.artifact import (
    Artifact,
    ArtifactError,
    Samples,
    read_artifact,
    verify_artifact,
    write_artifact,
)
from adq.golden.files.stored_arrays import StoredArray
from tests.golden_networks import digits_like_network, networks, random_inputs
from tests.places import ROOT

pytestmark = pytest.mark.testpoint("artifact.whole")

GENERATOR = {"name": "test", "version": "1.0", "seed": 7, "accuracy": {"integer": 0.975}}


def make_artifact(bits=4, images=3, seed=0):
    network = digits_like_network(bits, seed)
    rng = np.random.default_rng(seed)
    samples = Samples.record(network, random_inputs(network, rng, images), rng.integers(0, 10, 3))
    return Artifact(network=network, samples=samples, generator=GENERATOR)


def same(left, right):
    """Return whether two artifacts hold the same fields, arrays with dtype and all."""
    if isinstance(left, np.ndarray | StoredArray):
        return left.dtype == right.dtype and np.array_equal(left, right)
    if dataclasses.is_dataclass(left):
        names = [field.name for field in dataclasses.fields(left)]
        return type(left) is type(right) and all(
            same(getattr(left, name), getattr(right, name)) for name in names
        )
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[k], right[k]) for k in left)
    if isinstance(left, tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


def file_bytes(directory):
    return {path.name: path.read_bytes() for path in Path(directory).iterdir()}


@pytest.fixture
def stored(tmp_path):
    write_artifact(tmp_path / "golden", make_artifact())
    return tmp_path / "golden"


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_what_is_read_is_what_was_written(tmp_path, bits):
    artifact = make_artifact(bits)
    write_artifact(tmp_path / "golden", artifact)
    assert same(read_artifact(tmp_path / "golden"), artifact)


def test_skip_multipliers_of_more_than_16_bits_stay_in_format_version_3(tmp_path):
    artifact = make_artifact()
    conv1, conv2, conv3, *others = artifact.network.nodes
    factors = np.array(conv3.requantize.skip_factors) + 1
    wide = dataclasses.replace(conv3.requantize, skip_multiplier=factors, skip_shift=0)
    conv3 = dataclasses.replace(conv3, requantize=wide)
    network = dataclasses.replace(artifact.network, nodes=(conv1, conv2, conv3, *others))
    samples = Samples.record(network, artifact.samples.inputs, None)
    old = Artifact(network=network, samples=samples, generator=GENERATOR)
    for stored, version in ((old, 3), (artifact, 4)):
        write_artifact(tmp_path / "golden", stored)
        manifest = json.loads((tmp_path / "golden/manifest.json").read_text())
        assert manifest["version"] == version
        assert same(read_artifact(tmp_path / "golden"), stored)
        described = manifest["network"]["nodes"]
        assert [node.get("accumulator_bits") is not None for node in described] == (
            [False] * 7 if version == 3 else [True, True, True, False, True, False, True]
        )
        # A shift of 5 bits holds at 4 bits, see ``digits_like_network``.
        shifts = [node["requantize"].get("skip_shift") for node in described[:3]]
        assert shifts == ([None] * 3 if version == 3 else [0, 0, 5])


def version_of(directory):
    return json.loads((directory / "manifest.json").read_text())["version"]


def in_version_3(artifact):
    """Return an artifact whose skip multipliers have no shift, as that version has none."""
    nodes = []
    for node in artifact.network.nodes:
        requantize = getattr(node, "requantize", None)
        if requantize is not None and requantize.skip_multiplier is not None:
            factors = np.array(requantize.skip_factors)
            plain = dataclasses.replace(requantize, skip_multiplier=factors, skip_shift=0)
            node = dataclasses.replace(node, requantize=plain)
        nodes.append(node)
    network = dataclasses.replace(artifact.network, nodes=tuple(nodes))
    return dataclasses.replace(artifact, network=network)


@settings(max_examples=25, deadline=None)
@given(networks())
def test_any_network_survives_the_disk(tmp_path_factory, case):
    network, inputs = case
    _, *positions = network.shapes[network.outputs[0]]
    samples = Samples.record(network, inputs, np.zeros((len(inputs), *positions), int))
    artifact = Artifact(network=network, samples=samples, generator=GENERATOR)
    directory = tmp_path_factory.mktemp("any") / "golden"
    write_artifact(directory, artifact)
    again = read_artifact(directory)
    assert same(again, in_version_3(artifact) if version_of(directory) == 3 else artifact)
    assert all(agreement.agrees for agreement in verify_artifact(again))


def test_equal_artifacts_are_equal_bytes(tmp_path):
    write_artifact(tmp_path / "one", make_artifact())
    write_artifact(tmp_path / "two", make_artifact())
    assert file_bytes(tmp_path / "one") == file_bytes(tmp_path / "two")


def test_integers_take_the_smallest_dtype(stored):
    tensors = safetensors.numpy.load_file(stored / "tensors.safetensors")
    for array in tensors.values():
        assert np.issubdtype(array.dtype, np.integer)
        lo, hi = int(array.min()), int(array.max())
        bits = max((-1 - lo).bit_length() + 1, hi.bit_length() + 1) if lo < 0 else hi.bit_length()
        assert array.dtype.itemsize == min(size for size in (1, 2, 4, 8) if bits <= 8 * size)
    integers = sum(array.nbytes for array in tensors.values())
    assert (stored / "tensors.safetensors").stat().st_size < 1.2 * integers + 100_000


def test_manifest_tells_what_it_describes(stored):
    manifest = json.loads((stored / "manifest.json").read_text())
    data = (stored / "tensors.safetensors").read_bytes()
    assert manifest["generator"] == GENERATOR
    assert manifest["samples"] == {"count": 3}
    assert manifest["files"]["tensors.safetensors"] == {
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    conv3 = manifest["network"]["nodes"][2]
    assert conv3 == {
        "op": "Conv2d",
        "name": "conv3",
        "input": "conv2",
        "shape": [8, 8, 8],
        "weight_bits": 4,
        "requantize": {
            "shift": 20,
            "format": {"bits": 4, "signed": False, "scale": 0.05},
            "skip": "conv1",
            "skip_shift": 5,
            "offset": False,
        },
        "accumulator_bits": 13,
        "density": 0.5,
        "stride": [1, 1],
        "padding": [1, 1],
        "groups": 1,
        "dilation": [1, 1],
    }


# Replacing


def test_an_artifact_is_replaced(stored):
    write_artifact(stored, make_artifact(8))
    assert same(read_artifact(stored), make_artifact(8))
    assert [path.name for path in stored.parent.iterdir()] == ["golden"]


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "golden").mkdir()
    write_artifact(tmp_path / "golden", make_artifact())
    assert same(read_artifact(tmp_path / "golden"), make_artifact())


def test_a_damaged_artifact_is_replaced(stored):
    (stored / "tensors.safetensors").unlink()
    write_artifact(stored, make_artifact())
    assert same(read_artifact(stored), make_artifact())


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("keep me")
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(ArtifactError) as error:
        write_artifact(tmp_path, make_artifact())
    assert str(error.value) == (
        f"{tmp_path}: is not an artifact, it holds notes.txt: choose another folder, or remove "
        "this one first"
    )
    assert (tmp_path / "notes.txt").read_text() == "keep me"
    with pytest.raises(ArtifactError, match="is a file, not the folder of an artifact"):
        write_artifact(tmp_path / "notes.txt", make_artifact())


# A child process writes over an artifact and kills itself at its n-th system call of a kind.
KILLED_WRITER = """
import os, signal, sys
from adq.golden.artifact import write_artifact
from adq.golden.files import directory
from adq.golden.files.stored_arrays import StoredArray
from tests.golden.test_artifact import make_artifact
target, call, when = sys.argv[1], sys.argv[2], int(sys.argv[3])
artifact = make_artifact(8)
module = {"fsync": os, "rmtree": directory.shutil}[call]
original, count = getattr(module, call), 0
def counted(*arguments, **options):
    global count
    count += 1
    if count == when:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments, **options)
setattr(module, call, counted)
write_artifact(target, artifact, {"onnx": b"graph", "qonnx": b"graph"})
"""


@pytest.mark.parametrize(
    ("call", "when", "bits"),
    [
        ("fsync", 1, 4),  # tensors written
        ("fsync", 3, 4),  # graphs written
        ("fsync", 4, 4),  # manifest written
        ("fsync", 5, 4),  # staged folder complete
        ("fsync", 6, 8),  # folders exchanged
        ("rmtree", 1, 8),  # the old one not yet removed
    ],
)
def test_a_killed_writer_leaves_the_old_artifact_or_the_new(stored, call, when, bits):
    writer = subprocess.run(
        [sys.executable, "-c", KILLED_WRITER, str(stored), call, str(when)],
        cwd=ROOT,
        check=False,
    )
    assert writer.returncode == -9
    assert same(read_artifact(stored), make_artifact(bits))
    write_artifact(stored, make_artifact(2))
    assert same(read_artifact(stored), make_artifact(2))


def test_a_failed_write_leaves_nothing(stored, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_artifact(stored, make_artifact(8))
    assert [path.name for path in stored.parent.iterdir()] == ["golden"]
    assert same(read_artifact(stored), make_artifact())


@pytest.mark.parametrize(
    ("generator", "message"),
    [
        ({"name": "test"}, "$.generator: 'version' is a required property"),
        (GENERATOR | {"accuracy": float("nan")}, "generator: Out of range float values"),
        (GENERATOR | {"config": Path("x")}, "generator: PosixPath x: it must be of JSON values"),
    ],
)
def test_a_generator_that_cannot_be_read_is_not_written(tmp_path, generator, message):
    artifact = dataclasses.replace(make_artifact(), generator=generator)
    with pytest.raises(ArtifactError) as error:
        write_artifact(tmp_path / "golden", artifact)
    assert str(error.value).startswith(message)
    assert not list(tmp_path.iterdir())


# Samples against the network


@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        ("labels", lambda a: np.maximum(a, 10), "samples/labels spans 10 to 10, .* within 0 to 9"),
        ("classes", lambda a: np.minimum(a, -1), "tensor samples/classes spans -1 to -1"),
        ("classes", lambda a: a[:2], r"tensor samples/classes has shape \(2,\), it must be \(3,\)"),
        ("inputs", lambda a: a / 2, "tensor samples/inputs is float64"),
        ("inputs", lambda a: a[:0], "with at least one image|has shape"),
        ("logits", lambda a: a + 1, "logits differ from samples of linear"),
        (
            "outputs",
            lambda a: a | {"pool": np.maximum(a["pool"], 16)},
            "tensor samples/outputs/pool spans 16 to 16, it must lie within 0 to 15",
        ),
        (
            "outputs",
            lambda a: {k: v for k, v in a.items() if k != "pool"},
            "tensor samples/outputs/pool is missing",
        ),
        (
            "accumulators",
            lambda a: a | {"pool": a["conv1"]},
            "tensor 'samples/accumulators/pool' belongs to no node",
        ),
    ],
)
def test_samples_that_do_not_suit_the_network(field, change, message):
    artifact = make_artifact()
    changed = {field: change(getattr(artifact.samples, field))}
    samples = dataclasses.replace(artifact.samples, **changed)
    with pytest.raises(ArtifactError, match=message):
        dataclasses.replace(artifact, samples=samples)


def test_verify_finds_each_changed_integer():
    artifact = make_artifact()
    accumulators = copy.deepcopy(artifact.samples.accumulators)
    accumulators["conv2"][1, 2, 3, 4] += 5
    outputs = copy.deepcopy(artifact.samples.outputs)
    outputs["pool"][0, 0, 0, 0] ^= 1
    outputs["pool"][2, 1, 0, 0] ^= 1
    classes = (artifact.samples.classes + np.array([0, 0, 1])) % 10
    samples = dataclasses.replace(
        artifact.samples, accumulators=accumulators, outputs=outputs, classes=classes
    )
    found = {
        agreement.node: agreement
        for agreement in verify_artifact(dataclasses.replace(artifact, samples=samples))
    }
    differing = {name: agreement.differing for name, agreement in found.items()}
    assert differing == {
        "conv1": 0, "conv2": 1, "conv3": 0, "pool": 2, "average": 0, "flatten": 0, "linear": 1,
    }  # fmt: skip
    right = artifact.samples.accumulators["conv2"][1, 2, 3, 4]
    assert found["conv2"].first_difference == (
        f"accumulator of image 1 at (2, 3, 4) is {right + 5}, computed {right}"
    )
    assert found["linear"].first_difference.startswith("class of image 2 is ")
    assert found["conv1"].agrees
    assert found["conv1"].integers == 2 * 3 * 8 * 64
    assert found["linear"].integers == 30 + 3


# Damage. A change of the manifest, or of tensors with the checksum made good, and its error.


def edit(directory, change):
    path = directory / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    manifest.pop("sha256", None)
    path.write_bytes(manifests.dump(manifest))


def edit_tensors(directory, change, listed=True):
    """Change tensors, and file sizes, checksums and (unless told) the list to suit."""
    path = directory / "tensors.safetensors"
    tensors = safetensors.numpy.load_file(path)
    change(tensors)
    data = safetensors.numpy.save(tensors)
    replace_tensor_file(directory, data)

    def list_tensors(manifest):
        manifest["tensors"] = {
            name: {"dtype": str(array.dtype), "shape": list(array.shape)}
            for name, array in tensors.items()
        }

    if listed:
        edit(directory, list_tensors)


def replace_tensor_file(directory, data):
    (directory / "tensors.safetensors").write_bytes(data)
    entry = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    edit(directory, lambda m: m["files"].update({"tensors.safetensors": entry}))


def nodes(change):
    return lambda manifest: change(manifest["network"]["nodes"])


def as_version_2(manifest):
    """State version 2, without the fields that came with version 4."""
    manifest["version"] = 2
    for node in manifest["network"]["nodes"]:
        node.pop("accumulator_bits", None)
        (node.get("requantize") or {}).pop("skip_shift", None)


def _words(value: object) -> str:
    """Name a case by its message: a function's own text differs from process to process."""
    return value[:40] if isinstance(value, str) else ""


MANIFEST_DAMAGE = [
    (lambda m: m.update(format="zip"), '"format" must be "adq-golden"'),
    (lambda m: m.update(version=5), "format version 5, but this release reads versions 2, 3 and 4"),
    (lambda m: m.pop("version"), "format version None"),
    (lambda m: m.update(version=2), "accumulator_bits is there, which format version 2 has not"),
    (as_version_2, "network: outputs: is not in version 2 of the format"),
    (
        lambda m: (m["network"].pop("outputs"), as_version_2(m)),
        "network: conv1: dilation: is not in version 2 of the format",
    ),
    (lambda m: m.update(extra=1), "('extra' was unexpected)"),
    (lambda m: m.pop("files"), "$: 'files' is a required property"),
    (nodes(lambda n: n[0].update(op="Conv3d")), "$.network.nodes[0].op: 'Conv3d' is not one of"),
    (nodes(lambda n: n[0].pop("stride")), "$.network.nodes[0]: 'stride' is a required property"),
    (nodes(lambda n: n[0].update(groups=2)), "conv1 has weights for 2 channels, but input has 1"),
    (nodes(lambda n: n[0].update(groups=3)), "conv1: 8 outputs in 3 groups"),
    (nodes(lambda n: n[0].update(dilation=2)), "nodes[0].dilation: 2 is not of type 'array'"),
    (nodes(lambda n: n[0].update(weight_bits=17)), "nodes[0].weight_bits: 17 is greater than"),
    (nodes(lambda n: n[0].update(weight_bits=4.0)), "nodes[0].weight_bits: 4.0 is not of type"),
    (nodes(lambda n: n[0].update(density=2)), "nodes[0].density: 2 is greater than"),
    (nodes(lambda n: n[0].update(name="../x")), "nodes[0].name: '../x' does not match"),
    (nodes(lambda n: n[0].update(input="conv3")), "conv1 reads conv3, which comes after it"),
    (nodes(lambda n: n[0].update(input="nobody")), "conv1 reads 'nobody', which no node produces"),
    (nodes(lambda n: n[0].update(name="conv2")), "is missing"),
    (nodes(lambda n: n[0].update(shape=[8, 8, 9])), "conv1 is said to have shape (8, 8, 9)"),
    (nodes(lambda n: n[3].update(kernel=[9, 9])), "pool: a kernel of (9, 9) does not fit"),
    (nodes(lambda n: n[3].update(kernel=[2**40, 2])), "is greater than the maximum"),
    (nodes(lambda n: n[2]["requantize"].update(skip="average")), "conv3 reads average, which"),
    (nodes(lambda n: n[2]["requantize"].update(skip=None, skip_shift=0)), "belongs to no node"),
    (nodes(lambda n: n[2]["requantize"].update(skip_shift=63)), "skip_shift: 63 is greater than"),
    (nodes(lambda n: n[0]["requantize"].update(skip_shift=1)), "skip shift 1 without a skip"),
    (nodes(lambda n: n[1]["requantize"].pop("skip_shift")), "conv2: skip_shift is missing, which"),
    (nodes(lambda n: n[0].pop("accumulator_bits")), "conv1: accumulator_bits is missing, which"),
    (nodes(lambda n: n[0].update(accumulator_bits=30)), "have accumulators of 30 bits, but its"),
    (nodes(lambda n: n[3].update(accumulator_bits=8)), "('accumulator_bits' was unexpected)"),
    (lambda m: m.update(version=3), "conv1: accumulator_bits is there, which format version 3 has"),
    (nodes(lambda n: n[0]["requantize"]["format"].update(scale=0)), "scale: 0 is less than"),
    (
        lambda m: m["network"]["input"].update(shape=[1, 2**24, 2**24]),
        "network: linear has weights for 32 inputs, but flatten has shape (140737488355328,)",
    ),
    (lambda m: m["network"]["input"]["format"].update(bits=3), "accumulators of 10 bits, but its"),
    (lambda m: m["samples"].update(count=4), "has 3 images, the manifest says 4"),
    (
        lambda m: m["tensors"].pop("samples/labels"),
        "tensor 'samples/labels' is missing from the manifest",
    ),
    (
        lambda m: m["tensors"].update({"x": {"dtype": "int8", "shape": [1]}}),
        "tensor 'x' is missing from the file",
    ),
    (
        lambda m: m["tensors"]["samples/labels"].update(dtype="int64"),
        "tensor samples/labels is I8, the manifest says I64",
    ),
    (
        lambda m: m["tensors"]["samples/labels"].update(shape=[1, 3]),
        "tensor samples/labels has shape [3], the manifest says [1, 3]",
    ),
    (
        lambda m: m["files"].update({"../x": m["files"]["tensors.safetensors"]}),
        "file name '../x' is not the plain name of a file in this folder",
    ),
    (
        lambda m: m["files"].update({"more.bin": m["files"]["tensors.safetensors"]}),
        "lists a file more.bin that no artifact has",
    ),
    (
        lambda m: m["files"]["tensors.safetensors"].update(bytes=2**60),
        "bytes, the manifest says 1152921504606846976: the file is truncated",
    ),
    (lambda m: m["files"]["tensors.safetensors"].update(sha256="0" * 64), "its sha256 is not"),
]


@pytest.mark.parametrize(("change", "message"), MANIFEST_DAMAGE, ids=_words)
def test_damaged_manifest(stored, change, message):
    edit(stored, change)
    refuses(stored, message)


def refuses(directory, message):
    """The artifact is refused with one line that starts with the place."""
    with pytest.raises(ArtifactError) as error:
        read_artifact(directory)
    text = str(error.value)
    assert message in text
    assert text.startswith(str(directory))
    assert "\n" not in text


def put(name, value):
    def change(tensors):
        tensors[name] = value(tensors[name])

    return change


TENSOR_DAMAGE = [
    (put("network/conv1/weight", lambda a: a + 8), "conv1: weight spans"),
    (put("network/conv1/weight", lambda a: a.astype(np.float32)), "'float32' is not one of"),
    (put("network/conv1/weight", lambda a: a[:4]), "conv1: bias has 8 outputs, weight 4"),
    (put("network/conv1/weight", lambda a: a[:, :, :2]), "conv1 is said to have shape"),
    (put("network/conv1/bias", lambda a: a.astype(np.int64) * 2**57), "beyond int64"),
    (
        put("network/conv1/multiplier", lambda a: a.astype(np.int32) * 8),
        "tensors network/conv1: multiplier spans",
    ),
    (put("samples/labels", lambda a: a - 10), "tensor samples/labels spans"),
    (put("samples/inputs", lambda a: a[:2]), "has shape (3"),
    (
        put("samples/outputs/conv1", lambda a: a + 16),
        "tensor samples/outputs/conv1 spans",
    ),
    (lambda t: t.pop("network/conv3/skip_multiplier"), "skip_multiplier is missing"),
    (lambda t: t.pop("samples/inputs"), "tensor samples/inputs is missing"),
    (lambda t: t.update(more=np.zeros(1, np.int8)), "tensor 'more' belongs to no node"),
]


@pytest.mark.parametrize(("change", "message"), TENSOR_DAMAGE, ids=_words)
def test_damaged_tensors_of_a_right_checksum(stored, change, message):
    edit_tensors(stored, change)
    refuses(stored, message)


@pytest.mark.parametrize("keep", [0, 7, 8, 100, -1])
def test_tensor_file_that_is_no_safetensors(stored, keep):
    data = (stored / "tensors.safetensors").read_bytes()
    replace_tensor_file(stored, data[:keep] or b"\xff" * 8)
    refuses(stored, "tensors.safetensors: not a safetensors file")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "manifest.json: not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"format": "adq-golden", "format": "adq-golden"}', "has the same key twice"),
        (b'{"format": NaN}', "NaN is no JSON number"),
        (b"[]", "not a golden artifact"),
        (b'{"version": 1}', "not a golden artifact"),
        (b" " * (artifacts.MAXIMUM_MANIFEST_BYTES + 1), "expected at most 4194304"),
    ],
)
def test_manifest_that_is_none(stored, text, message):
    (stored / "manifest.json").write_bytes(text)
    refuses(stored, message)


def test_missing_files(stored):
    (stored / "tensors.safetensors").unlink()
    refuses(stored, "tensors.safetensors: no such file: copy the whole folder of the artifact")
    (stored / "manifest.json").unlink()
    refuses(stored, "manifest.json: no such file")
    refuses(stored / "nowhere", "nowhere: no such folder: give the folder of an artifact")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=st.sampled_from(["manifest.json", "tensors.safetensors"]), data=st.data())
def test_any_damaged_byte_is_noticed(stored, name, data):
    """A flipped bit or a cut gives a named error."""
    path = stored / name
    original = path.read_bytes()
    place = data.draw(st.integers(0, len(original) - 1))
    damaged = bytearray(original)
    if data.draw(st.booleans()):
        damaged[place] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del damaged[place:]
    path.write_bytes(bytes(damaged))
    try:
        refuses(stored, f"{name}: ")
    finally:
        path.write_bytes(original)
