"""The manifest: an artifact's network as JSON, without its integers.

``docs/golden-format.md`` describes every field, ``manifest.schema.json`` holds them formally. The
integers of a node are tensors beside it, named ``network/NODE/FIELD``.
"""

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from adq.golden.files.json_reader import (
    JsonError,
    JsonObject,
    Schema,
    check_signature,
    parse,
    quoted,
    sign,
)
from adq.golden.files.stored_arrays import Array
from adq.golden.network import (
    ActivationFormat,
    AveragePool2d,
    Concat,
    Conv2d,
    Flatten,
    Gather,
    Linear,
    Lookup,
    MaxPool2d,
    Multiply,
    Network,
    NetworkError,
    Node,
    Requantize,
    Rescale,
    Reshape,
)
from adq.golden.samples import ArtifactError

FORMAT = "adq-golden"
VERSION = 4
WIDE_SKIP_VERSION = 3
"""Version of networks whose skip multipliers have more than 16 bits, which stay as they are."""
VERSIONS = (2, 3, 4)
"""Versions that are read. Version 3 has neither widths of accumulators nor skip shifts. Version 2
has one output, the last node, and neither dilations, offsets nor the nodes after ``Flatten``."""

_OPERATIONS = {
    op.__name__: op
    for op in (
        *(Conv2d, Linear, MaxPool2d, AveragePool2d, Rescale, Flatten),
        *(Reshape, Gather, Concat, Lookup, Multiply),
    )
}
_OPERATIONS_OF_VERSION_2 = frozenset(
    ("Conv2d", "Linear", "MaxPool2d", "AveragePool2d", "Rescale", "Flatten")
)
_ARRAYS = {
    Conv2d: ("weight", "bias"),
    Linear: ("weight", "bias"),
    Gather: ("channels", "rows", "columns"),
    Lookup: ("table",),
}
"""Fields of nodes that are tensors; what is None is not in the file."""
_ACCUMULATING = ("Conv2d", "Linear", "AveragePool2d")
"""Operations whose accumulators have a width in the manifest."""


def dump(manifest: JsonObject) -> bytes:
    """Return a manifest as JSON text with its checksum; equal manifests give equal bytes."""
    try:
        return sign(manifest, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise ArtifactError(f"generator: {error}: it must be of JSON values, without NaN") from None


def load(text: bytes) -> JsonObject:
    """Parse a manifest and hold it against version, checksum and schema.

    Raises
    ------
    ArtifactError
        Not JSON, another format or version, damaged, or a field that the schema refuses.

    """
    try:
        manifest = parse(text)
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise ArtifactError(f'not a golden artifact: "format" must be "{FORMAT}"')
        if manifest.get("version") not in VERSIONS:
            *older, newest = map(str, VERSIONS)
            raise ArtifactError(
                f"format version {quoted(manifest.get('version'))}, but this release reads "
                f"versions {', '.join(older)} and {newest}: use the release that wrote it"
            )
        check_signature(text)
        _schema().check(manifest)
        _check_version(manifest)
    except JsonError as error:
        raise ArtifactError(str(error)) from None
    if manifest["version"] == 2:
        _refuse_later_fields(manifest["network"])
    return manifest


def version_of(network: Network) -> int:
    """Return the format version in which a network is written."""
    requantized = (getattr(node, "requantize", None) for node in network.nodes)
    wide = any(each is not None and each.has_wide_skip for each in requantized)
    return WIDE_SKIP_VERSION if wide else VERSION


def _refuse_later_fields(described: JsonObject) -> None:
    """Refuse in version 2 what came after it: its readers would compute another network."""
    later = ["outputs"] if "outputs" in described else []
    for node in described["nodes"]:
        found = [field for field in ("dilation",) if field in node]
        found += ["offset"] if "offset" in (node.get("requantize") or {}) else []
        found += [] if node["op"] in _OPERATIONS_OF_VERSION_2 else [node["op"]]
        later += [f"{node['name']}: {field}" for field in found]
    if later:
        raise ArtifactError(
            f"network: {later[0]}: is not in version 2 of the format: export again, which writes "
            f"version {VERSION}"
        )


def describe_network(network: Network) -> JsonObject:
    """Return a network's graph, precisions, widths and scales as JSON values."""
    nodes = [_describe_node(node, network.shapes[node.name]) for node in network.nodes]
    if version_of(network) < VERSION:
        for described in nodes:
            if described.get("requantize"):
                del described["requantize"]["skip_shift"]
    else:
        for described in nodes:
            if described["name"] in network.accumulating:
                described["accumulator_bits"] = network.accumulator_bits(described["name"])
    return {
        "name": network.name,
        "input": {
            "shape": list(network.input_shape),
            "format": dataclasses.asdict(network.input_format),
        },
        "nodes": nodes,
        "outputs": list(network.outputs),
    }


def network_tensors(network: Network) -> dict[str, np.ndarray]:
    """Return a network's integers under their names in the file."""
    tensors = {}
    shifts = version_of(network) >= VERSION  # older versions have no shift of their own for skips
    for node in network.nodes:
        for field in _ARRAYS.get(type(node), ()):
            if getattr(node, field) is not None:
                tensors[f"network/{node.name}/{field}"] = getattr(node, field)
        requantize = getattr(node, "requantize", None)
        if requantize is not None:
            tensors[f"network/{node.name}/multiplier"] = requantize.multiplier
            if requantize.skip is not None:
                factors = (
                    requantize.skip_multiplier
                    if shifts
                    else np.array(requantize.skip_factors, dtype=np.int64)
                )
                tensors[f"network/{node.name}/skip_multiplier"] = factors
            if requantize.offset is not None:
                tensors[f"network/{node.name}/offset"] = requantize.offset
    return tensors


def build_nodes(description: JsonObject, tensors: dict[str, Array]) -> list[Node]:
    """Build a described network's nodes from their tensors, which leave ``tensors``.

    Raises
    ------
    ArtifactError
        A tensor is missing, or does not suit its node.

    """

    def take(node: JsonObject, field: str) -> np.ndarray:
        name = f"network/{node['name']}/{field}"
        if name not in tensors:
            raise ArtifactError(f"tensor {name} is missing")
        return np.asarray(tensors.pop(name))

    nodes = []
    for described in description["nodes"]:
        try:
            nodes.append(_build_node(described, take))
        except NetworkError as error:
            raise ArtifactError(f"tensors network/{described['name']}: {error}") from None
    return nodes


def build_network(description: JsonObject, nodes: list[Node]) -> Network:
    """Join nodes to the network of a description.

    Raises
    ------
    ArtifactError
        The graph is not well formed, or a node has another shape or accumulators of another width
        than stated.

    """
    try:
        network = Network(
            name=description["name"],
            input_shape=tuple(description["input"]["shape"]),
            input_format=ActivationFormat(**description["input"]["format"]),
            nodes=tuple(nodes),
            outputs=tuple(description.get("outputs", ())),
        )
    except NetworkError as error:
        raise ArtifactError(f"network: {error}") from None
    for described in description["nodes"]:
        shape = network.shapes[described["name"]]
        if tuple(described["shape"]) != shape:
            raise ArtifactError(
                f"node {described['name']} is said to have shape {tuple(described['shape'])}, "
                f"but has {shape}"
            )
        stated = described.get("accumulator_bits")
        if stated is not None and stated != (bits := network.accumulator_bits(described["name"])):
            raise ArtifactError(
                f"node {described['name']} is said to have accumulators of {stated} bits, but its "
                f"weights and its input need {bits}"
            )
    return network


def _check_version(manifest: JsonObject) -> None:
    """Hold the fields of nodes against the version that the manifest states."""
    newest = manifest["version"] >= 4
    for described in manifest["network"]["nodes"]:
        requantize = described.get("requantize")
        fields = {}
        if described["op"] in _ACCUMULATING:
            fields["accumulator_bits"] = described
        if requantize is not None:
            fields["skip_shift"] = requantize
        for field, holder in fields.items():
            if (field in holder) != newest:
                raise ArtifactError(
                    f"node {described['name']}: {field} is "
                    f"{'missing' if newest else 'there'}, which format version "
                    f"{manifest['version']} {'has' if newest else 'has not'}"
                )


def _describe_node(node: Node, shape: tuple[int, ...]) -> JsonObject:
    described = {
        "op": type(node).__name__,
        "name": node.name,
        "input": node.input,
        "shape": list(shape),
    }
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        if field.name in _ARRAYS.get(type(node), ()):
            continue
        if isinstance(value, ActivationFormat):
            value = dataclasses.asdict(value)
        if isinstance(value, Requantize):
            value = {
                "shift": value.shift,
                "format": dataclasses.asdict(value.format),
                "skip": value.skip,
                "skip_shift": value.skip_shift,
                "offset": value.offset is not None,
            }
        described[field.name] = value
    return described


def _build_node(
    described: JsonObject, take: Callable[[JsonObject, str], np.ndarray]
) -> Node:  # fmt: skip
    operation = _OPERATIONS[described["op"]]
    fields: JsonObject = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in described.items()
        if name not in ("op", "shape", "accumulator_bits")
    }
    arrays = _ARRAYS.get(operation, ())
    if operation is Gather and len(described["shape"]) == 1:
        fields |= {"rows": None, "columns": None}
        arrays = arrays[:1]
    fields |= {field: take(described, field) for field in arrays}
    if "format" in fields:
        fields["format"] = ActivationFormat(**fields["format"])
    requantize = described.get("requantize")
    if requantize is not None:
        skip = requantize["skip"]
        fields["requantize"] = Requantize(
            multiplier=take(described, "multiplier"),
            shift=requantize["shift"],
            format=ActivationFormat(**requantize["format"]),
            skip=skip,
            skip_multiplier=None if skip is None else take(described, "skip_multiplier"),
            skip_shift=requantize.get("skip_shift", 0),
            offset=take(described, "offset") if requantize.get("offset") else None,
        )
    return operation(**fields)


def _plain(value: object) -> object:
    """Turn NumPy's scalars into JSON's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(quoted(f"{type(value).__name__} {value}"))


@functools.cache
def _schema() -> Schema:
    schema = Path(__file__).with_name("manifest.schema.json").read_text(encoding="utf-8")
    return Schema(json.loads(schema))
