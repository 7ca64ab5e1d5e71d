"""Opens an ONNX file that may come from anyone, and gives its graph as plain values.

Nothing in the file is run, and no other file is read: operators of listed domains alone, no
functions, no graphs within graphs, all tensors inside, and sizes that are bounded before memory is
asked for.
"""

import dataclasses
import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from adq.golden.files.reading import read_file
from adq.golden.onnx.building import QONNX_DOMAIN

MAXIMUM_BYTES = 2**28
"""Largest file that is read."""

MAXIMUM_NODES = 20_000
MAXIMUM_ELEMENTS = 2**26
"""Most elements of a tensor, of one image."""

MAXIMUM_NAME = 512
"""Most characters of a name."""

OPSETS = range(11, 26)
"""Versions of ONNX's operators that are understood."""

_INPUTS = (
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.UINT8,
    onnx.TensorProto.INT8,
    onnx.TensorProto.UINT16,
    onnx.TensorProto.INT16,
)
"""Types of images."""

_RUNTIME_DOMAIN = "com.microsoft"
_RUNTIME_OPERATORS = frozenset(
    {
        *("QuantizeLinear", "DequantizeLinear", "QGemm", "QLinearAdd", "QLinearMul"),
        *("QLinearAveragePool", "QLinearGlobalAveragePool", "QLinearConcat"),
        *("QLinearSigmoid", "QLinearLeakyRelu"),
    }
)
"""Operators of ONNX Runtime's own domain: those of ONNX for more widths, and on integers."""


_KINDS = {
    "axis": int,
    "min": float,
    "max": float,
    "value": np.ndarray,
    "value_int": int,
    "value_float": float,
    "value_floats": object,
    "round_mode": str,
}
"""Types of attributes that have no default; those of the others are integers, one after another."""


class ExchangeError(ValueError):
    """A file that is not understood. The message names the node, and what to do."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Operator:
    """A node of the graph."""

    kind: str
    """Operator, such as ``Conv``."""
    name: str
    """For people: its name, or that of its output."""
    inputs: tuple[str, ...]
    output: str
    attributes: dict[str, object]
    """Integers, floats, strings, tuples of these, and arrays."""

    def take(self, **defaults: object) -> list[Any]:
        """Return attributes in order, each with its default; any other one is refused.

        Each has the type of its default, or that of ``_KINDS``.

        Raises
        ------
        ExchangeError
            The node has an attribute that is not asked for, which would change what it computes.

        """
        for name in sorted(self.attributes.keys() - defaults.keys()):
            raise self.error(f"has an attribute {name!r}, which is not understood")
        taken = [self.attributes.get(name, default) for name, default in defaults.items()]
        for (name, default), value in zip(defaults.items(), taken, strict=True):
            kind = type(default) if default is not None else _KINDS.get(name, tuple)
            fits = value is None or isinstance(value, kind)
            if kind is tuple and isinstance(value, tuple):
                fits = all(type(each) is int for each in value)
            if not fits:
                raise self.error(f"has {name!r} as {type(value).__name__}, which it cannot be")
        return taken

    def error(self, message: str) -> ExchangeError:
        """Return an error that names this node."""
        return ExchangeError(f"{self.kind} {self.name}: {message}")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class OpenedGraph:
    """A graph in order, without what no output needs."""

    operators: tuple[Operator, ...]
    constants: dict[str, np.ndarray]
    input: str
    input_shape: tuple[int, ...]
    """Shape of one image, without N."""
    input_dtype: np.dtype
    outputs: tuple[str, ...]
    opset: int
    producer: str
    sha256: str
    """Checksum of the file."""
    model: onnx.ModelProto
    """Graph reduced to the fields above. A comparison runs it."""


def open_model(path: str | Path) -> OpenedGraph:
    """Read an ONNX file.

    Raises
    ------
    ExchangeError
        It is no such file, or reaches further than itself, or is larger than anything useful.
    adq.golden.files.reading.FileError
        It is no plain file.

    """
    data = read_file(path, MAXIMUM_BYTES)
    try:
        model = onnx.ModelProto.FromString(data)
    except DecodeError:
        raise ExchangeError(f"{path}: is not an ONNX file") from None
    if not model.graph.node:
        raise ExchangeError(f"{path}: holds no graph: is it an ONNX file?")
    return _opened(model, hashlib.sha256(data).hexdigest())


def _opened(model: onnx.ModelProto, checksum: str) -> OpenedGraph:
    _require_text(model)
    graph, opset = model.graph, _opset(model)
    for function in model.functions:
        raise ExchangeError(f"the file defines a function {function.name!r}: inline it")
    if model.training_info or graph.sparse_initializer:
        raise ExchangeError("the file holds graphs of training or sparse tensors: export it again")
    if len(graph.node) > MAXIMUM_NODES:
        raise ExchangeError(f"the graph has {len(graph.node)} nodes, more than {MAXIMUM_NODES}")
    constants = {tensor.name: _array(tensor, tensor.name) for tensor in graph.initializer}
    if len(constants) != len(graph.initializer):
        raise ExchangeError("two tensors of the file have one name")
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(repr(value.name) for value in inputs[:4])
        raise ExchangeError(f"the network has {len(inputs)} inputs ({names}): it must have one")
    outputs = tuple(value.name for value in graph.output)
    nodes = _needed(graph, {inputs[0].name, *constants}, outputs)
    shape, dtype = _input(inputs[0])
    return OpenedGraph(
        operators=tuple(_operator(node, place) for place, node in enumerate(nodes)),
        constants=constants,
        input=inputs[0].name,
        input_shape=shape,
        input_dtype=dtype,
        outputs=outputs,
        opset=opset,
        producer=f"{model.producer_name} {model.producer_version}".strip()[:100],
        sha256=checksum,
        model=_reduced(model, nodes, inputs[0], opset),
    )


def _require_text(model: onnx.ModelProto) -> None:
    """Refuse names that are no text, or longer than any: they stand in messages."""
    graph = model.graph
    names = [model.producer_name, model.producer_version]
    names += [each.domain for each in model.opset_import]
    names += [each.name for each in (*graph.initializer, *graph.input, *graph.output)]
    for node in graph.node:
        names += [node.name, node.op_type, node.domain, *node.input, *node.output]
        names += [each.name for each in node.attribute]
    if not all(isinstance(name, str) for name in names):
        raise ExchangeError("a name in the file is no text: export it again")
    longest = max(map(len, names))
    if longest > MAXIMUM_NAME:
        raise ExchangeError(
            f"a name in the file has {longest} characters: at most {MAXIMUM_NAME} are read"
        )


def _opset(model: onnx.ModelProto) -> int:
    versions = [each.version for each in model.opset_import if each.domain in ("", "ai.onnx")]
    if len(versions) != 1 or versions[0] not in OPSETS:
        raise ExchangeError(
            f"the file uses operators of version {versions}: it must be one of {OPSETS.start} to "
            f"{OPSETS.stop - 1}; onnx.version_converter changes it"
        )
    return int(versions[0])


def _needed(
    graph: onnx.GraphProto, given: set[str], outputs: tuple[str, ...]
) -> list[onnx.NodeProto]:
    """Return the nodes that an output needs, in the file's order, which must be topological."""
    made = set(given)
    for node in graph.node:
        for name in node.input:
            if name and name not in made:
                raise ExchangeError(
                    f"{node.op_type} {node.name or node.output[:1]}: reads {name!r}, which nothing "
                    "before it gives"
                )
        for name in node.output:
            if name and name in made:
                raise ExchangeError(f"{node.op_type} {node.name}: gives {name!r} a second time")
            made.add(name)
    for name in outputs:
        if name not in made or name in given:
            raise ExchangeError(f"the graph's output {name!r} is given by no node")
    wanted, needed = set(outputs), []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            needed.append(node)
            wanted.update(node.input)
    return needed[::-1]


def _operator(node: onnx.NodeProto, place: int) -> Operator:
    name = node.name or (node.output[0] if node.output else str(place))
    domain = node.domain
    known = domain in ("", "ai.onnx", QONNX_DOMAIN)
    if not known and not (domain == _RUNTIME_DOMAIN and node.op_type in _RUNTIME_OPERATORS):
        raise ExchangeError(
            f"{node.op_type} {name}: is an operator of domain {domain!r}: only those of ONNX and "
            f"{QONNX_DOMAIN} are understood; export the network in QDQ form"
        )
    outputs = [output for output in node.output if output]
    if len(outputs) != 1 or outputs[0] != node.output[0]:
        raise ExchangeError(f"{node.op_type} {name}: has {len(outputs)} outputs, not one")
    return Operator(
        kind=node.op_type,
        name=name,
        inputs=tuple(node.input),
        output=outputs[0],
        attributes=dict(_attributes(node, name)),
    )


def _attributes(node: onnx.NodeProto, name: str) -> Iterator[tuple[str, object]]:
    kinds = onnx.AttributeProto
    for attribute in node.attribute:
        match attribute.type:
            case kinds.INT:
                value = attribute.i
            case kinds.FLOAT:
                value = attribute.f
            case kinds.STRING:
                value = attribute.s.decode("utf-8", "replace")
            case kinds.INTS:
                value = tuple(attribute.ints)
            case kinds.FLOATS:
                value = tuple(attribute.floats)
            case kinds.TENSOR:
                value = _array(attribute.t, f"{name}.{attribute.name}")
            case _:
                raise ExchangeError(
                    f"{node.op_type} {name}: its attribute {attribute.name!r} holds a graph or "
                    "something else that is not understood"
                )
        yield attribute.name, value


def _array(tensor: onnx.TensorProto, name: str) -> np.ndarray:
    """Return a tensor's values, which must lie in the file."""
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise ExchangeError(
            f"tensor {name!r} lies in another file, which is not read: save the model with its "
            "tensors inside, onnx.save(onnx.load(FILE), FILE)"
        )
    if any(side < 0 for side in tensor.dims) or math.prod(tensor.dims) > MAXIMUM_ELEMENTS:
        raise ExchangeError(f"tensor {name!r} has a shape of {tuple(tensor.dims)[:8]}")
    try:
        array = numpy_helper.to_array(tensor)
    except Exception as error:  # of NumPy and of onnx, without a common base
        message = str(error).partition("\n")[0][:200]
        raise ExchangeError(f"tensor {name!r} cannot be read: {message}") from None
    if array.dtype.kind in "cOSU":
        raise ExchangeError(f"tensor {name!r} holds {array.dtype}, it must hold real numbers")
    return array


def _input(value: onnx.ValueInfoProto) -> tuple[tuple[int, ...], np.dtype]:
    """Return the shape of one image, and type of its elements."""
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not kind.HasField("shape"):
        raise ExchangeError(f"input {value.name!r} has no shape: export with a fixed image size")
    shape = tuple(side.dim_value for side in kind.shape.dim)[1:]
    if len(shape) not in (1, 2, 3) or min(shape) < 1 or math.prod(shape) > MAXIMUM_ELEMENTS:
        raise ExchangeError(
            f"input {value.name!r} has the shape (N, {', '.join(map(str, shape))}): images are "
            "(N, C, H, W), (N, C, L) or (N, F), of a fixed size"
        )
    name = onnx.TensorProto.DataType.Name(kind.elem_type) if kind.elem_type in _INPUTS else None
    if name is None:
        raise ExchangeError(
            f"input {value.name!r} has elements of another type than float32 and integers of 8 or "
            "16 bits"
        )
    return shape, np.dtype("float32" if name == "FLOAT" else name.lower())


def _reduced(
    model: onnx.ModelProto, nodes: list[onnx.NodeProto], source: onnx.ValueInfoProto, opset: int
) -> onnx.ModelProto:
    """Return a model of the needed nodes alone."""
    read = {name for node in nodes for name in node.input}
    graph = onnx.helper.make_graph(
        nodes,
        "graph",
        [source],
        list(model.graph.output),
        [tensor for tensor in model.graph.initializer if tensor.name in read],
    )
    opsets = [onnx.helper.make_opsetid("", opset)]
    versions = {each.domain: each.version for each in model.opset_import}
    domains = {node.domain for node in nodes} - {"", "ai.onnx"}
    opsets += [onnx.helper.make_opsetid(each, versions.get(each, 1)) for each in sorted(domains)]
    return onnx.helper.make_model(
        graph, opset_imports=opsets, ir_version=min(max(model.ir_version, 8), 10)
    )
