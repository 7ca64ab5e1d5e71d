"""The manifest: an artifact's network as JSON, without its integers.

``docs/golden-format.md`` describes every field, ``manifest.schema.json`` holds them formally. The
integers of a node are tensors beside it, named ``network/NODE/FIELD``.
"""

import dataclasses
import functools
import hashlib
import json
from pathlib import Path

import jsonschema
import numpy as np

from adq.golden.network import (
    ActivationFormat,
    AveragePool2d,
    Conv2d,
    Flatten,
    Linear,
    MatrixLayer,
    MaxPool2d,
    Network,
    NetworkError,
    Node,
    Requantize,
    Rescale,
)
from adq.golden.samples import ArtifactError

FORMAT = "adq-golden"
VERSION = 2

_OPERATIONS = {
    op.__name__: op for op in (Conv2d, Linear, MaxPool2d, AveragePool2d, Rescale, Flatten)
}


def dump(manifest: dict) -> bytes:
    """Return a manifest as JSON text with its checksum; equal manifests give equal bytes."""
    try:
        text = json.dumps(manifest, indent=2, allow_nan=False, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise ArtifactError(f"generator: {error}: it must be of JSON values, without NaN") from None
    body = text.removesuffix("\n}").encode() + b",\n  "
    return body + _checksum_field(body)


def load(text: bytes) -> dict:
    """Parse a manifest and hold it against version, checksum and schema.

    Raises
    ------
    ArtifactError
        Not JSON, another format or version, damaged, or a field that the schema refuses.

    """
    try:
        manifest = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
        # Half of a character, which JSON can escape, ends whoever prints it.
        json.dumps(manifest, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"not valid JSON ({_shown(error)})") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ArtifactError(f'not a golden artifact: "format" must be "{FORMAT}"')
    if manifest.get("version") != VERSION:
        raise ArtifactError(
            f"format version {_shown(manifest.get('version'))}, but this release reads version "
            f"{VERSION}: use the release that wrote it"
        )
    body = text[: text.rfind(b'"sha256"')]
    if text != body + _checksum_field(body):
        raise ArtifactError("its sha256, the last field, is not that of the text before it")
    error = jsonschema.exceptions.best_match(_validator().iter_errors(manifest))
    if error is not None:
        raise ArtifactError(f"{_shown(error.json_path)}: {_shown(error.message)}")
    return manifest


def describe_network(network: Network) -> dict:
    """Return a network's graph, precisions and scales as JSON values."""
    return {
        "name": network.name,
        "input": {
            "shape": list(network.input_shape),
            "format": dataclasses.asdict(network.input_format),
        },
        "nodes": [_describe_node(node, network.shapes[node.name]) for node in network.nodes],
    }


def network_tensors(network: Network) -> dict[str, np.ndarray]:
    """Return a network's integers under their names in the file."""
    tensors = {}
    for node in network.nodes:
        if isinstance(node, MatrixLayer):
            tensors[f"network/{node.name}/weight"] = node.weight
            tensors[f"network/{node.name}/bias"] = node.bias
        requantize = getattr(node, "requantize", None)
        if requantize is not None:
            tensors[f"network/{node.name}/multiplier"] = requantize.multiplier
            if requantize.skip is not None:
                tensors[f"network/{node.name}/skip_multiplier"] = requantize.skip_multiplier
    return tensors


def build_nodes(description: dict, tensors: dict[str, np.ndarray]) -> list[Node]:
    """Build a described network's nodes from their tensors, which leave ``tensors``.

    Raises
    ------
    ArtifactError
        A tensor is missing, or does not suit its node.

    """

    def take(node: dict, field: str) -> np.ndarray:
        name = f"network/{node['name']}/{field}"
        if name not in tensors:
            raise ArtifactError(f"tensor {name} is missing")
        return tensors.pop(name)

    nodes = []
    for described in description["nodes"]:
        try:
            nodes.append(_build_node(described, take))
        except NetworkError as error:
            raise ArtifactError(f"tensors network/{described['name']}: {error}") from None
    return nodes


def build_network(description: dict, nodes: list[Node]) -> Network:
    """Join nodes to the network of a description.

    Raises
    ------
    ArtifactError
        The graph is not well formed, or a node has another shape than stated.

    """
    try:
        network = Network(
            name=description["name"],
            input_shape=tuple(description["input"]["shape"]),
            input_format=ActivationFormat(**description["input"]["format"]),
            nodes=tuple(nodes),
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
    return network


def _describe_node(node: Node, shape: tuple[int, ...]) -> dict:
    described = {
        "op": type(node).__name__,
        "name": node.name,
        "input": node.input,
        "shape": list(shape),
    }
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        if isinstance(value, np.ndarray):
            continue
        if isinstance(value, Requantize):
            value = {
                "shift": value.shift,
                "format": dataclasses.asdict(value.format),
                "skip": value.skip,
            }
        described[field.name] = value
    return described


def _build_node(described: dict, take) -> Node:
    operation = _OPERATIONS[described["op"]]
    fields = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in described.items()
        if name not in ("op", "shape")
    }
    if issubclass(operation, MatrixLayer):
        fields |= {"weight": take(described, "weight"), "bias": take(described, "bias")}
    requantize = described.get("requantize")
    if requantize is not None:
        skip = requantize["skip"]
        fields["requantize"] = Requantize(
            multiplier=take(described, "multiplier"),
            shift=requantize["shift"],
            format=ActivationFormat(**requantize["format"]),
            skip=skip,
            skip_multiplier=None if skip is None else take(described, "skip_multiplier"),
        )
    return operation(**fields)


def _checksum_field(body: bytes) -> bytes:
    """Return what ends a manifest: the checksum of all bytes before this field."""
    return b'"sha256": "%s"\n}\n' % hashlib.sha256(body).hexdigest().encode()


def _plain(value):
    """Turn NumPy's scalars into JSON's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(_shown(f"{type(value).__name__} {value}"))


def _shown(found) -> str:
    """Quote what a manifest holds in one short printable line, whatever it is."""
    return repr(str(found)[:200])[1:-1]


def _unique(pairs: list[tuple]) -> dict:
    """Refuse an object whose keys repeat: readers would disagree on which one holds."""
    unique = dict(pairs)
    if len(unique) < len(pairs):
        raise ValueError("an object has the same key twice")
    return unique


def _refuse_constant(name: str):
    raise ValueError(f"{name} is no JSON number")


@functools.cache
def _validator() -> jsonschema.Draft202012Validator:
    def is_integer(_checker, value) -> bool:
        """Refuse 1.0, an integer to JSON Schema, which would become a float here."""
        return isinstance(value, int) and not isinstance(value, bool)

    draft = jsonschema.Draft202012Validator
    strict = jsonschema.validators.extend(
        draft, type_checker=draft.TYPE_CHECKER.redefine("integer", is_integer)
    )
    schema = Path(__file__).with_name("manifest.schema.json").read_text(encoding="utf-8")
    return strict(json.loads(schema))
