"""Golden artifacts on disk: a folder of ``manifest.json`` and ``tensors.safetensors``.

``docs/golden-format.md`` describes the format. Writing the same artifact twice gives the same
bytes. Reading checks everything before anything is used.
"""

import contextlib
import dataclasses
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import safetensors
import safetensors.numpy

from adq.golden import manifest as manifests
from adq.golden.files.directory import replace_directory, staged_directory, write_synced
from adq.golden.files.json_reader import JsonObject
from adq.golden.files.reading import FileError, read_file
from adq.golden.samples import Artifact, ArtifactError, Samples
from adq.golden.verify import NodeAgreement, verify_artifact

__all__ = [
    "GRAPHS",
    "Artifact",
    "ArtifactError",
    "Dialect",
    "NodeAgreement",
    "Samples",
    "StoredArtifact",
    "read_artifact",
    "read_stored",
    "verify_artifact",
    "write_artifact",
]

MANIFEST = "manifest.json"
TENSORS = "tensors.safetensors"
Dialect = Literal["onnx", "qonnx"]
"""Operators of a graph: ONNX's own alone, or with those of QONNX."""

GRAPHS: dict[Dialect, str] = {"onnx": "network.onnx", "qonnx": "network-qonnx.onnx"}
"""Files that an artifact may hold beside its integers: its network as a graph, by dialect."""

MAXIMUM_MANIFEST_BYTES = 2**22
"""Largest manifest that is read; a network of a thousand nodes needs a tenth of it."""

_DTYPES = {
    np.dtype(name): code
    for name, code in (
        ("int8", "I8"),
        ("uint8", "U8"),
        ("int16", "I16"),
        ("uint16", "U16"),
        ("int32", "I32"),
        ("uint32", "U32"),
        ("int64", "I64"),
    )
}
"""The integer dtypes from the narrowest on, and what the tensor file calls them."""

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class StoredArtifact:
    """Contents of an artifact's folder: the artifact, and the graphs that its manifest lists."""

    artifact: Artifact
    graphs: Mapping[Dialect, bytes]
    """Contents of the graph files by dialect. Their bytes are those that the manifest lists; what
    graph they hold is checked by ``adq.golden.onnx.check.require_graph_of``."""


def write_artifact(
    directory: str | Path, artifact: Artifact, graphs: Mapping[Dialect, bytes] | None = None
) -> None:
    """Write an artifact to a folder, or replace the artifact there.

    ``graphs`` are serialized graphs of its network by dialect, one of ``GRAPHS``.

    The folder appears under its name only when it is complete and on disk: whenever the writing
    stops, ``directory`` holds what it held before, or the new artifact.

    Raises
    ------
    ArtifactError
        ``directory`` exists and is not an artifact, or the generator is not storable.
    OSError
        The file system refuses; nothing has changed then.

    """
    target = Path(directory).resolve()
    _check_replaceable(target)
    tensors = {
        name: _narrowest(array)
        for name, array in {
            **manifests.network_tensors(artifact.network),
            **artifact.samples.tensors(),
        }.items()
    }
    files = {TENSORS: safetensors.numpy.save(tensors)}
    files |= {GRAPHS[dialect]: graph for dialect, graph in (graphs or {}).items()}
    text = manifests.dump(
        {
            "format": manifests.FORMAT,
            "version": manifests.version_of(artifact.network),
            "generator": artifact.generator,
            "network": manifests.describe_network(artifact.network),
            "samples": {"count": len(artifact.samples)},
            "tensors": {
                name: {"dtype": str(array.dtype), "shape": list(array.shape)}
                for name, array in tensors.items()
            },
            "files": {
                name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
                for name, data in files.items()
            },
        }
    )
    # A manifest that a reader would refuse is not written, such as one without a generator's name.
    manifests.load(text)
    with staged_directory(target) as staged:
        for name, data in files.items():
            write_synced(staged / name, data)
        write_synced(staged / MANIFEST, text)
        replace_directory(staged, target)


def read_artifact(directory: str | Path) -> Artifact:
    """Read an artifact, and check its files, checksums, shapes, dtypes, ranges and graph.

    Whether the samples are what the network computes is left to ``verify_artifact``.

    Raises
    ------
    ArtifactError
        Anything is missing, damaged or not of this format. The message says which file, which
        tensor and what to do.

    """
    return read_stored(directory).artifact


def read_stored(directory: str | Path) -> StoredArtifact:
    """Read an artifact like ``read_artifact``, together with its graphs.

    Every file is read once: the bytes whose checksum was compared are the bytes that are used.

    Raises
    ------
    ArtifactError
        As ``read_artifact``.

    """
    directory = Path(directory)
    place = directory / MANIFEST
    text = _read_file(place, MAXIMUM_MANIFEST_BYTES)
    with _errors_in(place):
        manifest = manifests.load(text)
    _refuse_unlisted_graphs(directory, manifest["files"])
    files = {name: _read_listed(place, name, entry) for name, entry in manifest["files"].items()}
    graphs = {dialect: files[name] for dialect, name in GRAPHS.items() if name in files}
    with _errors_in(directory / TENSORS):
        tensors = _parse_tensors(files.pop(TENSORS), manifest["tensors"])
        nodes = manifests.build_nodes(manifest["network"], tensors)
    with _errors_in(place):
        network = manifests.build_network(manifest["network"], nodes)
    with _errors_in(directory / TENSORS):
        samples = Samples.from_tensors(network, tensors)
        if len(samples) != manifest["samples"]["count"]:
            raise ArtifactError(
                f"tensor samples/inputs has {len(samples)} images, the manifest says "
                f"{manifest['samples']['count']}"
            )
        artifact = Artifact(network=network, samples=samples, generator=manifest["generator"])
    return StoredArtifact(artifact=artifact, graphs=graphs)


def _parse_tensors(data: bytes, listed: dict[str, JsonObject]) -> dict[str, np.ndarray]:
    """Parse a tensor file, and check its header against the manifest's list."""
    try:
        found = dict(safetensors.deserialize(data))
    except safetensors.SafetensorError as error:
        raise ArtifactError(f"not a safetensors file ({error})") from None
    for name in sorted(found.keys() ^ listed.keys()):
        where = "manifest" if name in found else "file"
        raise ArtifactError(f"tensor {name[:128]!r} is missing from the {where}")
    tensors = {}
    for name, entry in listed.items():
        dtype, header = np.dtype(entry["dtype"]), found[name]
        if header["dtype"] != _DTYPES[dtype]:
            raise ArtifactError(
                f"tensor {name} is {header['dtype']}, the manifest says {_DTYPES[dtype]}"
            )
        if header["shape"] != entry["shape"]:
            raise ArtifactError(
                f"tensor {name} has shape {header['shape']}, the manifest says {entry['shape']}"
            )
        array = np.frombuffer(header["data"], dtype.newbyteorder("<"))
        tensors[name] = array.reshape(entry["shape"]).astype(dtype, copy=False)
    return tensors


def _refuse_unlisted_graphs(directory: Path, listed: Mapping[str, JsonObject]) -> None:
    """Refuse a graph that the manifest does not list: a user would take it for the network's
    graph.
    """
    for name in GRAPHS.values():
        if name not in listed and os.path.lexists(directory / name):
            raise ArtifactError(
                f"{directory / name}: is not listed in {MANIFEST}: do not trust it, remove it; "
                "adq onnx writes the graphs of an artifact"
            )


def _read_listed(manifest: Path, name: str, entry: JsonObject) -> bytes:
    """Read a file that the manifest lists, and check its size and checksum."""
    remedy = "do not trust this artifact, export it again"
    if not _FILE_NAME.fullmatch(name):
        raise ArtifactError(
            f"{manifest}: file name {name[:128]!r} is not the plain name of a file in this "
            f"folder: {remedy}"
        )
    if name not in (TENSORS, *GRAPHS.values()):
        raise ArtifactError(f"{manifest}: lists a file {name} that no artifact has: {remedy}")
    path = manifest.with_name(name)
    data = _read_file(path, entry["bytes"])
    if len(data) != entry["bytes"]:
        raise ArtifactError(
            f"{path}: has {len(data)} bytes, the manifest says {entry['bytes']}: the file is "
            "truncated or another one; copy the artifact or export it again"
        )
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise ArtifactError(
            f"{path}: its sha256 is not the one in the manifest: the file is damaged; copy the "
            "artifact or export it again"
        )
    return data


def _read_file(path: Path, most: int) -> bytes:
    """Read a plain file of an artifact, at most ``most`` bytes."""
    try:
        return read_file(path, most, links=False)
    except FileError as error:
        raise ArtifactError(f"{error}; copy the artifact or export it again") from None
    except (FileNotFoundError, NotADirectoryError):
        if not path.parent.is_dir():
            raise ArtifactError(
                f"{path.parent}: no such folder: give the folder of an artifact"
            ) from None
        raise ArtifactError(
            f"{path}: no such file: copy the whole folder of the artifact, or export it again"
        ) from None
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read: {error.strerror}") from None


@contextlib.contextmanager
def _errors_in(path: Path) -> Iterator[None]:
    """Add the file name to errors that lack it."""
    try:
        yield
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}; export the artifact again") from None


def _narrowest(array: np.ndarray) -> np.ndarray:
    """Return integers in the smallest dtype that holds them, in contiguous memory."""
    lo, hi = int(array.min()), int(array.max())
    for dtype in _DTYPES:
        limits = np.iinfo(dtype)
        if limits.min <= lo and hi <= limits.max:
            return np.ascontiguousarray(array, dtype=dtype)
    raise AssertionError("int64 holds every integer of an artifact")


def _check_replaceable(target: Path) -> None:
    """Refuse to replace a folder that holds anything other than an artifact."""
    if not target.exists():
        return
    remedy = "choose another folder, or remove this one first"
    if not target.is_dir():
        raise ArtifactError(f"{target}: is a file, not the folder of an artifact: {remedy}")
    names = {entry.name for entry in target.iterdir()}
    foreign = sorted(names - {MANIFEST, TENSORS, *GRAPHS.values()})
    if foreign or (names and MANIFEST not in names):
        found = foreign[0] if foreign else f"{min(names)} without {MANIFEST}"
        raise ArtifactError(f"{target}: is not an artifact, it holds {found}: {remedy}")
