"""Damaged artifacts, made from one good, small artifact, and the error that each must get."""

import dataclasses
import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors.numpy

from adq.golden import manifest as manifests
from adq.golden.artifact import (
    MANIFEST,
    TENSORS,
    Artifact,
    Samples,
    read_artifact,
    write_artifact,
)
from adq.golden.network import (
    INPUT,
    ActivationFormat,
    AveragePool2d,
    Conv2d,
    Flatten,
    Linear,
    Network,
    Requantize,
)

Files = dict[str, bytes]


@dataclasses.dataclass(frozen=True)
class Attack:
    """A way to damage an artifact's files, and what the error must say."""

    damage: Callable[[Files], None]
    error: str


# What damages files. Manifests and tensor files are made consistent again where the attack is
# meant for what comes after the checksums.


def manifest(change: Callable[[dict], object]) -> Callable[[Files], None]:
    """Change the parsed manifest, and sign it."""

    def damage(files: Files) -> None:
        parsed = json.loads(files[MANIFEST])
        del parsed["sha256"]
        change(parsed)
        files[MANIFEST] = manifests.dump(parsed)

    return damage


def node(position: int, **fields) -> Callable[[Files], None]:
    """Change fields of a node, and sign the manifest."""
    return manifest(lambda m: m["network"]["nodes"][position].update(fields))


def replaced(name: str, change: Callable[[bytes], bytes]) -> Callable[[Files], None]:
    """Change a file's bytes, and nothing that speaks of them."""

    def damage(files: Files) -> None:
        files[name] = change(files[name])

    return damage


def listed(files: Files) -> None:
    """Give the manifest the tensor file's size and checksum."""
    data = files[TENSORS]
    entry = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest(lambda m: m["files"].update({TENSORS: entry}))(files)


def tensor_file(change: Callable[[bytes], bytes]) -> Callable[[Files], None]:
    """Change the tensor file's bytes, with the right checksum."""

    def damage(files: Files) -> None:
        files[TENSORS] = change(files[TENSORS])
        listed(files)

    return damage


def header(change: Callable[[dict], object]) -> Callable[[Files], None]:
    """Change the tensor file's header, with the right checksum."""

    def damage(data: bytes) -> bytes:
        (length,) = struct.unpack("<Q", data[:8])
        parsed = json.loads(data[8 : 8 + length])
        change(parsed)
        text = json.dumps(parsed).encode()
        return struct.pack("<Q", len(text)) + text + data[8 + length :]

    return tensor_file(damage)


def tensor(name: str, change: Callable[[np.ndarray], np.ndarray | None]) -> Callable[[Files], None]:
    """Change or remove a tensor, with the right list and checksum."""

    def damage(files: Files) -> None:
        tensors = dict(sorted(safetensors.numpy.load(files[TENSORS]).items()))
        array = change(tensors.pop(name, np.zeros(1, np.int8)))
        if array is not None:
            tensors[name] = array
        files[TENSORS] = safetensors.numpy.save(tensors)
        entries = {
            key: {"dtype": str(value.dtype), "shape": list(value.shape)}
            for key, value in tensors.items()
        }
        manifest(lambda m: m.update(tensors=entries))(files)
        listed(files)

    return damage


def without(name: str) -> Callable[[Files], None]:
    """Remove a file."""
    return lambda files: files.pop(name)


def overlap(parsed: dict) -> None:
    """Lay the last tensor over the first one."""
    by_place = sorted(
        (entry for name, entry in parsed.items() if name != "__metadata__"),
        key=lambda entry: entry["data_offsets"],
    )
    first, last = by_place[0], by_place[-1]
    start, end = last["data_offsets"]
    last["data_offsets"] = [first["data_offsets"][0], first["data_offsets"][0] + end - start]


def flip(data: bytes) -> bytes:
    """Flip a bit in the middle."""
    damaged = bytearray(data)
    damaged[len(data) // 2] ^= 4
    return bytes(damaged)


def swap(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Replace the first occurrence of bytes that must be there."""

    def change(data: bytes) -> bytes:
        if old not in data:
            raise ValueError(f"the good artifact has no {old!r}")
        return data.replace(old, new, 1)

    return change


SCALE = 0.0625
DENSITY = 0.375
WEIGHT = "network/conv/weight"

ATTACKS = {
    # Files
    "manifest-missing": Attack(without(MANIFEST), "manifest.json: no such file"),
    "manifest-empty": Attack(replaced(MANIFEST, lambda _: b""), "manifest.json: not valid JSON"),
    "manifest-cut": Attack(replaced(MANIFEST, lambda d: d[:-3]), "not valid JSON"),
    "manifest-not-text": Attack(replaced(MANIFEST, lambda _: b"\xff\xfe\x00"), "not valid JSON"),
    "manifest-deep": Attack(replaced(MANIFEST, lambda _: b"[" * 50_000), "not valid JSON"),
    "manifest-long-number": Attack(
        replaced(MANIFEST, swap(b'"bits": 4', b'"bits": ' + b"4" * 5000)), "not valid JSON"
    ),
    "manifest-key-twice": Attack(
        replaced(MANIFEST, swap(b'"version": 4', b'"version": 3, "version": 3')),
        "an object has the same key twice",
    ),
    "manifest-nan": Attack(replaced(MANIFEST, swap(b"0.0625", b"NaN")), "NaN is no JSON number"),
    "manifest-half-a-character": Attack(
        manifest(lambda m: m["generator"].update(name="\ud800")), "surrogates not allowed"
    ),
    "network-name-controls": Attack(
        manifest(lambda m: m["network"].update(name="\x1b[2J")), "$.network.name: "
    ),
    "scale-beyond-floats": Attack(
        manifest(lambda m: m["network"]["input"]["format"].update(scale=10**400)),
        "is beyond 64 bits",
    ),
    "manifest-scale-changed": Attack(
        replaced(MANIFEST, swap(b"0.0625", b"0.0635")), "its sha256, the last field, is not that"
    ),
    "manifest-density-changed": Attack(
        replaced(MANIFEST, swap(b"0.375", b"0.374")), "its sha256, the last field, is not that"
    ),
    "manifest-more-after-it": Attack(
        replaced(MANIFEST, lambda d: d + b" "), "its sha256, the last field, is not that"
    ),
    "tensors-missing": Attack(without(TENSORS), "tensors.safetensors: no such file"),
    "tensors-empty": Attack(replaced(TENSORS, lambda _: b""), "has 0 bytes, the manifest says"),
    "tensors-cut": Attack(replaced(TENSORS, lambda d: d[:-1]), "bytes, the manifest says"),
    "tensors-grown": Attack(replaced(TENSORS, lambda d: d + b"\0"), "expected at most"),
    "tensors-bit-flipped": Attack(replaced(TENSORS, flip), "its sha256 is not the one in the"),
    "checksum-wrong": Attack(
        manifest(lambda m: m["files"][TENSORS].update(sha256="0" * 64)),
        "its sha256 is not the one in the manifest",
    ),
    "file-size-absurd": Attack(
        manifest(lambda m: m["files"][TENSORS].update(bytes=2**62)),
        "bytes, the manifest says 4611686018427387904",
    ),
    "path-climbs-out": Attack(
        manifest(lambda m: m["files"].update({"../x": m["files"][TENSORS]})),
        "file name '../x' is not the plain name of a file in this folder",
    ),
    "path-absolute": Attack(
        manifest(lambda m: m["files"].update({"/etc/hostname": m["files"][TENSORS]})),
        "file name '/etc/hostname' is not the plain name",
    ),
    "file-unknown": Attack(
        manifest(lambda m: m["files"].update({"more.bin": m["files"][TENSORS]})),
        "lists a file more.bin that no artifact has",
    ),
    "path-with-stroke": Attack(
        manifest(lambda m: m["files"].update({"a/../../x": m["files"][TENSORS]})),
        "is not the plain name of a file in this folder",
    ),
    # Manifest
    "format-other": Attack(manifest(lambda m: m.update(format="zip")), "not a golden artifact"),
    "version-unknown": Attack(manifest(lambda m: m.update(version=99)), "format version 99, but"),
    "version-missing": Attack(manifest(lambda m: m.pop("version")), "format version None, but"),
    "field-unknown": Attack(manifest(lambda m: m.update(more=1)), "('more' was unexpected)"),
    "field-missing": Attack(manifest(lambda m: m.pop("samples")), "'samples' is a required"),
    "operation-unknown": Attack(node(0, op="Conv3d"), "'Conv3d' is not one of"),
    "integer-as-float": Attack(node(0, weight_bits=4.0), "4.0 is not of type 'integer'"),
    "bits-beyond-16": Attack(node(0, weight_bits=17), "17 is greater than the maximum of 16"),
    "name-climbs-out": Attack(node(0, name="../x"), "'../x' does not match"),
    "shift-absurd": Attack(
        manifest(lambda m: m["network"]["nodes"][0]["requantize"].update(shift=10**9)),
        "1000000000 is greater than the maximum of 62",
    ),
    "scale-infinite": Attack(
        lambda files: (
            manifest(lambda m: m["network"]["nodes"][0]["requantize"]["format"].update(scale=0.5))(
                files
            ),
            files.update({MANIFEST: resigned(files[MANIFEST].replace(b"0.5", b"1e999", 1))}),
        ),
        "1e999 is beyond the largest number",
    ),
    # Graph
    "graph-cycle": Attack(node(0, input="average"), "conv reads average, which comes after it"),
    "graph-self": Attack(node(1, input="average"), "average reads average, which comes after"),
    "graph-dangling": Attack(node(1, input="nobody"), "reads 'nobody', which no node produces"),
    "graph-name-twice": Attack(node(2, name="average"), "the name average is used twice"),
    "graph-without-logits": Attack(
        manifest(lambda m: m["network"]["nodes"].pop()), "'linear' is an output, which no node"
    ),
    "skip-of-other-shape": Attack(
        lambda files: (
            manifest(lambda m: m["network"]["nodes"][1]["requantize"].update(skip="conv"))(files),
            tensor("network/average/skip_multiplier", lambda _: np.ones(2, np.int8))(files),
        ),
        "the skip connection conv has shape (2, 4, 4), the node (2, 2, 2)",
    ),
    "shape-absurd": Attack(
        manifest(lambda m: m["network"]["input"].update(shape=[1, 2**24, 2**24])),
        "linear has weights for 8 inputs, but flatten has shape",
    ),
    "shape-beyond-limit": Attack(
        manifest(lambda m: m["network"]["input"].update(shape=[1, 2**60, 1])),
        "is greater than the maximum of 16777216",
    ),
    "shape-negative": Attack(node(0, shape=[2, -4, 4]), "-4 is less than the minimum of 1"),
    "shape-other": Attack(node(0, shape=[2, 4, 5]), "conv is said to have shape (2, 4, 5)"),
    "kernel-beyond-image": Attack(node(1, kernel=[9, 9]), "a kernel of (9, 9) does not fit"),
    "padding-absurd": Attack(
        node(0, padding=[2**24, 2**24], stride=[2**23, 2**23]),
        "conv: padding (16777216, 16777216) is more than input of (4, 4) has itself",
    ),
    "groups-uneven": Attack(node(0, groups=3), "2 outputs in 3 groups"),
    "count-other": Attack(
        manifest(lambda m: m["samples"].update(count=9)), "has 2 images, the manifest says 9"
    ),
    # Tensors
    "tensor-missing": Attack(tensor(WEIGHT, lambda _: None), f"tensor {WEIGHT} is missing"),
    "tensor-of-no-node": Attack(tensor("more", lambda a: a), "tensor 'more' belongs to no node"),
    "tensor-not-listed": Attack(
        manifest(lambda m: m["tensors"].pop(WEIGHT)),
        f"tensor '{WEIGHT}' is missing from the manifest",
    ),
    "tensors-overlap": Attack(header(overlap), "not a safetensors file"),
    "tensors-beyond-file": Attack(
        header(lambda h: h[WEIGHT].update(data_offsets=[2**40, 2**40 + 18])),
        "not a safetensors file",
    ),
    "tensor-shape-absurd": Attack(
        header(lambda h: h[WEIGHT].update(shape=[2**40, 2**40])), "not a safetensors file"
    ),
    "header-length-absurd": Attack(
        tensor_file(lambda d: struct.pack("<Q", 2**63) + d[8:]), "not a safetensors file"
    ),
    "header-beyond-file": Attack(
        tensor_file(lambda d: struct.pack("<Q", len(d)) + d[8:]), "not a safetensors file"
    ),
    "header-not-json": Attack(
        tensor_file(lambda d: d[:8] + b"#" * 8 + d[16:]), "not a safetensors file"
    ),
    "dtype-float": Attack(
        tensor(WEIGHT, lambda a: a.astype(np.float32)), "'float32' is not one of"
    ),
    "dtype-other": Attack(
        manifest(lambda m: m["tensors"][WEIGHT].update(dtype="uint8")),
        f"tensor {WEIGHT} is I8, the manifest says U8",
    ),
    "tensor-shape-other": Attack(
        tensor(WEIGHT, lambda a: a[..., :2].copy()), "conv is said to have shape"
    ),
    "tensor-empty": Attack(tensor(WEIGHT, lambda a: a[:0]), "0 is less than the minimum of 1"),
    "weight-beyond-bits": Attack(tensor(WEIGHT, lambda a: a | 64), "which 4 bits do not hold"),
    "multiplier-beyond-16-bits": Attack(
        tensor("network/conv/multiplier", lambda a: a.astype(np.int32) + 2**16),
        "which int16 does not hold",
    ),
    "bias-overflows": Attack(
        tensor("network/conv/bias", lambda a: a.astype(np.int64) + 2**61), "beyond int64"
    ),
    "input-beyond-bits": Attack(tensor("samples/inputs", lambda a: a | 64), "samples/inputs spans"),
    "activation-beyond-bits": Attack(
        tensor("samples/outputs/conv", lambda a: a | 64), "samples/outputs/conv spans"
    ),
    "label-beyond-classes": Attack(
        tensor("samples/labels", lambda a: a + 3), "samples/labels spans"
    ),
    "image-missing": Attack(tensor("samples/labels", lambda a: a[:1]), "it must be (2,)"),
}


def resigned(text: bytes) -> bytes:
    """Give a manifest's text the checksum that suits it."""
    body = text[: text.rfind(b'"sha256"')]
    return body + b'"sha256": "%s"\n}\n' % hashlib.sha256(body).hexdigest().encode()


def good_artifact() -> Artifact:
    """A network of every kind of tensor, as small as can be, with two images."""
    rng = np.random.default_rng(0)
    image = ActivationFormat(bits=4, signed=True, scale=0.125)
    activation = ActivationFormat(bits=4, signed=False, scale=SCALE)
    network = Network(
        name="attacked",
        input_shape=(1, 4, 4),
        input_format=image,
        nodes=(
            Conv2d(
                name="conv",
                input=INPUT,
                weight=rng.integers(-8, 8, (2, 1, 3, 3)),
                weight_bits=4,
                bias=np.array([3, -5]),
                requantize=Requantize(
                    multiplier=np.array([20_000, -30_000]), shift=18, format=activation
                ),
                density=DENSITY,
                stride=(1, 1),
                padding=(1, 1),
            ),
            AveragePool2d(
                name="average",
                input="conv",
                kernel=(2, 2),
                stride=(2, 2),
                requantize=Requantize(multiplier=np.full(2, 2**13), shift=15, format=activation),
            ),
            Flatten(name="flatten", input="average"),
            Linear(
                name="linear",
                input="flatten",
                weight=rng.integers(-2, 2, (3, 8)),
                weight_bits=2,
                bias=np.array([1, 0, -1]),
                requantize=None,
            ),
        ),
    )
    samples = Samples.record(network, rng.integers(-8, 8, (2, 1, 4, 4)), np.array([0, 2]))
    generator = {"name": "damaged_artifacts", "version": "1"}
    return Artifact(network=network, samples=samples, generator=generator)


def good_files(directory: Path) -> Files:
    """Write the good artifact to a directory that does not exist yet, and return its files."""
    write_artifact(directory, good_artifact())
    read_artifact(directory)
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def write_files(directory: Path, files: Files) -> None:
    """Write an artifact's files as they are into a new directory."""
    directory.mkdir()
    for name, data in files.items():
        (directory / name).write_bytes(data)
