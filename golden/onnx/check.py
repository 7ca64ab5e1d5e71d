"""Checks that a graph in ONNX must pass before anything runs it.

A graph can reach further than itself: the ``qonnx`` package imports the Python module that an
operator's domain names, and ONNX reads weights from any file that a tensor names. So a graph that
is run has operators of listed domains alone and all of its weights inside, and a graph in an
artifact's folder is the one that this project writes for the artifact's network.
"""

from collections.abc import Iterator

import onnx
from google.protobuf.message import DecodeError

from adq.golden.artifact import Dialect
from adq.golden.network import Network
from adq.golden.onnx.graph import QONNX_DOMAIN, build_model

DOMAINS = frozenset({"", "ai.onnx", QONNX_DOMAIN})
"""Domains whose operators are run."""


class OnnxError(ValueError):
    """A graph that is not the one of its network, or cannot be run, or that a network has not."""


def parse_model(data: bytes, where: str) -> onnx.ModelProto:
    """Parse a graph; nothing beside these bytes is read.

    Raises
    ------
    OnnxError
        They are no graph, or one that reaches further than itself.

    """
    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(data)
    except DecodeError:
        raise OnnxError(f"{where}: not an ONNX graph: export again") from None
    require_self_contained(model, where)
    return model


def require_self_contained(model: onnx.ModelProto, where: str = "the graph") -> None:
    """Refuse a graph that names modules or files outside of itself.

    Operators of graphs inside of attributes and of functions count, and so do their tensors.

    Raises
    ------
    OnnxError
        An operator's domain is none of ``DOMAINS``, or a tensor lies in another file.

    """
    for function in model.functions:
        raise OnnxError(f"{where}: defines a function {function.name!r}: functions are not run")
    for opset in model.opset_import:
        _require_domain(opset.domain, "the graph's operator set", where)
    if model.training_info:
        raise OnnxError(f"{where}: holds graphs of training, which are not run")
    for graph in _graphs(model.graph):
        sparse = [part for each in graph.sparse_initializer for part in (each.values, each.indices)]
        _require_inside([*graph.initializer, *sparse], where)
        for node in graph.node:
            _require_domain(node.domain, f"operator {node.op_type!r}", where)
            for attribute in node.attribute:
                sparse = [attribute.sparse_tensor, *attribute.sparse_tensors]
                parts = [part for each in sparse for part in (each.values, each.indices)]
                _require_inside([attribute.t, *attribute.tensors, *parts], where)


def require_graph_of(network: Network, dialect: Dialect, data: bytes, where: str) -> None:
    """Refuse a graph that is not the one that ``build_model`` gives for a network.

    Shapes that it notes of inner tensors may be fewer: another version of ``onnx`` infers other
    ones. Whatever is run is the graph that ``build_model`` gives, never the one that is compared.

    Raises
    ------
    OnnxError
        It is another graph; the message names what differs first.

    """
    expected = build_model(network, dialect)
    if data == expected.SerializeToString():
        return
    difference = _difference(parse_model(data, where), expected)
    if difference:
        raise OnnxError(
            f"{where}: is not the graph of the artifact's network: {difference}; do not trust it, "
            "write it again with adq onnx"
        )


def _difference(found: onnx.ModelProto, expected: onnx.ModelProto) -> str | None:
    """Name the first part in which two graphs differ, or give None where they are the same."""
    for kind in ("node", "initializer", "input", "output"):
        pairs = getattr(found.graph, kind), getattr(expected.graph, kind)
        if len(pairs[0]) != len(pairs[1]):
            return f"it has {len(pairs[0])} of kind {kind}, not {len(pairs[1])}"
        for one, other in zip(*pairs, strict=True):
            if one != other:
                return f"its {kind} {one.name!r} is another"
    types = {value.name: value.type for value in expected.graph.value_info}
    for value in found.graph.value_info:
        if types.get(value.name) != value.type:
            return f"the shape of {value.name!r} is another"
    if _without_shapes(found) != _without_shapes(expected):
        return "its version or a note in it is another"
    return None


def _without_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    return copy


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield a graph and those in its operators' attributes, however deep they lie."""
    waiting = [graph]
    while waiting:
        graph = waiting.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    waiting.append(attribute.g)
                waiting += attribute.graphs


def _require_domain(domain: str, what: str, where: str) -> None:
    if domain not in DOMAINS:
        raise OnnxError(
            f"{where}: {what} is of domain {domain!r}: only operators of ONNX itself and of "
            f"{QONNX_DOMAIN} are run"
        )


def _require_inside(tensors: list[onnx.TensorProto], where: str) -> None:
    for tensor in tensors:
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise OnnxError(
                f"{where}: tensor {tensor.name!r} lies in another file: graphs with external data "
                "are not read"
            )
