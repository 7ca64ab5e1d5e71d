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

from adq.golden import manifest as manifests
from adq.golden.files.directory import replace_directory, staged_directory, sync, write_synced
from adq.golden.files.json_reader import JsonObject
from adq.golden.files.reading import FileError, open_descriptor, read_file
from adq.golden.files.stored_arrays import Array, CheckedFile
from adq.golden.files.tensor_files import DTYPES, narrowest, parse_tensors, write_tensors
from adq.golden.samples import PREFIX as SAMPLES
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
        name: (array, narrowest(array))
        for name, array in {
            **manifests.network_tensors(artifact.network),
            **artifact.samples.tensors(),
        }.items()
    }
    with staged_directory(target) as staged:
        files = {TENSORS: write_tensors(staged / TENSORS, tensors)}
        for dialect, graph in (graphs or {}).items():
            (staged / GRAPHS[dialect]).write_bytes(graph)
            files[GRAPHS[dialect]] = hashlib.sha256(graph).hexdigest()
        text = manifests.dump(
            {
                "format": manifests.FORMAT,
                "version": manifests.version_of(artifact.network),
                "generator": artifact.generator,
                "network": manifests.describe_network(artifact.network),
                "samples": {"count": len(artifact.samples)},
                "tensors": {
                    name: {"dtype": str(dtype), "shape": list(array.shape)}
                    for name, (array, dtype) in tensors.items()
                },
                "files": {
                    name: {"bytes": (staged / name).stat().st_size, "sha256": digest}
                    for name, digest in files.items()
                },
            }
        )
        # A manifest that a reader would refuse is not written, such as one without a generator's
        # name.
        manifests.load(text)
        for name in files:
            sync(staged / name)
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
    files = {name: _open_listed(place, name, entry) for name, entry in manifest["files"].items()}
    graphs = {
        dialect: files[name].read(0, files[name].size)
        for dialect, name in GRAPHS.items()
        if name in files
    }
    with _errors_in(directory / TENSORS):
        tensors = _listed_tensors(files[TENSORS], manifest["tensors"])
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


def _listed_tensors(file: CheckedFile, listed: dict[str, JsonObject]) -> dict[str, Array]:
    """Return the tensors of a file, held against the manifest's list.

    Those of the network are read; samples are read where a part of them is taken.
    """
    try:
        found = parse_tensors(file)
    except FileError as error:
        raise ArtifactError(str(error)) from None
    for name in sorted(found.keys() ^ listed.keys()):
        where = "manifest" if name in found else "file"
        raise ArtifactError(f"tensor {name[:128]!r} is missing from the {where}")
    for name, entry in listed.items():
        dtype, tensor = np.dtype(entry["dtype"]), found[name]
        if tensor.dtype != dtype:
            raise ArtifactError(
                f"tensor {name} is {DTYPES[tensor.dtype]}, the manifest says {DTYPES[dtype]}"
            )
        if list(tensor.shape) != entry["shape"]:
            raise ArtifactError(
                f"tensor {name} has shape {list(tensor.shape)}, the manifest says {entry['shape']}"
            )
    return {name: found[name] if name.startswith(SAMPLES) else found[name][:] for name in listed}


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


def _open_listed(manifest: Path, name: str, entry: JsonObject) -> CheckedFile:
    """Open a file that the manifest lists, and check its size and checksum."""
    remedy = "do not trust this artifact, export it again"
    if not _FILE_NAME.fullmatch(name):
        raise ArtifactError(
            f"{manifest}: file name {name[:128]!r} is not the plain name of a file in this "
            f"folder: {remedy}"
        )
    if name not in (TENSORS, *GRAPHS.values()):
        raise ArtifactError(f"{manifest}: lists a file {name} that no artifact has: {remedy}")
    path = manifest.with_name(name)
    with _file_errors(path):
        descriptor = open_descriptor(path, entry["bytes"], links=False)
        file = CheckedFile(str(path), descriptor)
    if file.size != entry["bytes"]:
        raise ArtifactError(
            f"{path}: has {file.size} bytes, the manifest says {entry['bytes']}: the file is "
            "truncated or another one; copy the artifact or export it again"
        )
    if file.sha256 != entry["sha256"]:
        raise ArtifactError(
            f"{path}: its sha256 is not the one in the manifest: the file is damaged; copy the "
            "artifact or export it again"
        )
    return file


def _read_file(path: Path, most: int) -> bytes:
    """Read a plain file of an artifact, at most ``most`` bytes."""
    with _file_errors(path):
        return read_file(path, most, links=False)


@contextlib.contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    """Turn errors of opening and reading a file into those of an artifact."""
    try:
        yield
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
