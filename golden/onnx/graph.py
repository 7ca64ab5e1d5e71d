"""The integer network as an ONNX graph, in two dialects of one lowering.

``onnx`` has plain operators alone, as ONNX Runtime executes them. ``qonnx`` says the precisions of
inputs, weights and activations by the ``Quant`` operators of QONNX, whose executor is the
``qonnx`` package; it has a fixed batch, as that package wants it.

Every tensor holds the network's integers: scales are 1. Activations are float32, which holds 16
bits. Sums of products are float32 where they stay below 2^24, else float64 matrix products over
unrolled windows, since ONNX Runtime convolves in float32 alone. Requantization is float64 below
2^53, where scaling by a power of two and rounding down are exact, and int64 beyond.

The tensor of a node has the node's name, its accumulators are ``NODE/accumulator``.
"""

import dataclasses
import itertools
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from adq.golden.artifact import Dialect, read_artifact, write_artifact
from adq.golden.integer_network import EXACT_FLOAT32
from adq.golden.network import (
    EXACT_FLOAT64,
    INPUT,
    ActivationFormat,
    AveragePool2d,
    Concat,
    Conv2d,
    Flatten,
    Gather,
    Lookup,
    MatrixLayer,
    MaxPool2d,
    Multiply,
    Network,
    Node,
    Requantizing,
    Reshape,
)

LOGITS = "logits"
"""Name of the graph's first output: int64 (N, classes, ...), in QONNX float64. Further outputs are
``logits/NODE``."""

OPSET = 18
IR_VERSION = 8
QONNX_DOMAIN = "qonnx.custom_op.general"

FLOAT32, FLOAT64, INT64 = (np.dtype(kind) for kind in (np.float32, np.float64, np.int64))


def accumulator_name(node: str) -> str:
    """Name of the tensor of a node's accumulators; a node's own name has no stroke."""
    return f"{node}/accumulator"


def output_name(network: Network, name: str) -> str:
    """Name in the graph of what one of the network's outputs gives.

    A node named ``logits`` keeps its name; outputs are then ``/logits/NODE``.
    """
    if any(node.name == LOGITS for node in network.nodes):
        return f"/{LOGITS}/{name}"
    return LOGITS if name == network.outputs[0] else f"{LOGITS}/{name}"


def build_model(
    network: Network, dialect: Dialect = "onnx", *, batch: int | None = None
) -> onnx.ModelProto:
    """Lower a network to ONNX.

    The input is ``input``, (N, C, H, W): in plain ONNX of the input format's integer type and any
    N, in QONNX float32 and of ``batch`` images, 1 where that is left out.
    """
    if dialect == "qonnx":
        batch = batch or 1
    return _Lowering(network, dialect, batch or "N").model()


def add_graphs(directory: str | Path, dialects: Collection[Dialect]) -> None:
    """Write graphs of an artifact's network into its folder, in place of those it had.

    The folder is replaced whole, as when it is exported.

    Raises
    ------
    adq.golden.samples.ArtifactError
        The artifact cannot be read.

    """
    artifact = read_artifact(directory)
    graphs = {
        dialect: build_model(artifact.network, dialect).SerializeToString() for dialect in dialects
    }
    write_artifact(directory, artifact, graphs)


@dataclasses.dataclass
class _Lowering:
    network: Network
    dialect: Dialect
    batch: int | str
    nodes: list[onnx.NodeProto] = dataclasses.field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = dataclasses.field(default_factory=dict)
    values: list[onnx.ValueInfoProto] = dataclasses.field(default_factory=list)
    tensors: dict[str, str] = dataclasses.field(default_factory=dict)
    """Name in the graph of each of the network's tensors, as float32."""

    def model(self) -> onnx.ModelProto:
        network = self.network
        plain = self.dialect == "onnx"
        source, logits = (network.input_format.dtype, INT64) if plain else (FLOAT32, FLOAT64)
        self.tensors[INPUT] = self._input(INPUT)
        for node in network.nodes:
            self._lower(node)
        for name in network.outputs:
            if name in network.formats:
                self._cast(self.tensors[name], logits, output=output_name(network, name))
        graph = helper.make_graph(
            self.nodes,
            network.name,
            [self._value(INPUT, source, network.input_shape)],
            [
                self._value(output_name(network, name), logits, network.shapes[name])
                for name in network.outputs
            ],
            list(self.constants.values()),
            value_info=self.values,
        )
        opsets = [helper.make_opsetid("", OPSET)]
        if self.dialect == "qonnx":
            opsets.append(helper.make_opsetid(QONNX_DOMAIN, 1))
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="adq"
        )
        onnx.checker.check_model(model)
        return with_shapes(model)

    # Graph

    def _value(self, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
        element = helper.np_dtype_to_tensor_dtype(dtype)
        return helper.make_tensor_value_info(name, element, [self.batch, *shape])

    def _add(
        self, operator: str, *inputs: str, output: str | None = None, **attributes: Any
    ) -> str:
        """Append an operator and return its output's name."""
        output = output or f"{inputs[0]}/{operator.lower()}{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(operator, inputs, [output], name=f"{output}:{operator}", **attributes)
        )
        return output

    def _constant(self, name: str, array: np.ndarray) -> str:
        self.constants[name] = numpy_helper.from_array(np.asarray(array), name)
        return name

    def _scalar(self, value: float, kind: npt.DTypeLike) -> str:
        dtype = np.dtype(kind)
        return self._constant(f"constant/{dtype}/{value}", np.array(value, dtype))

    def _ints(self, *values: int) -> str:
        name = "constant/ints/" + "_".join(map(str, values))
        return self._constant(name, np.array(values, np.int64))

    def _cast(self, tensor: str, dtype: np.dtype, output: str | None = None) -> str:
        return self._add("Cast", tensor, output=output, to=helper.np_dtype_to_tensor_dtype(dtype))

    def _as(self, tensor: str, dtype: np.dtype, wanted: np.dtype) -> str:
        return tensor if dtype == wanted else self._cast(tensor, wanted)

    def _by_channel(self, node: Node, integers: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Return one number a channel, beside the axes of the node's tensor."""
        return integers.astype(dtype).reshape(-1, *[1] * (len(self._shape(node)) - 1))

    def _quant(self, tensor: str, target: ActivationFormat, output: str | None = None) -> str:
        """Append rounding down and clamping to a format, as float32."""
        return self._add(
            "Quant",
            tensor,
            self._scalar(1.0, np.float32),
            self._scalar(0.0, np.float32),
            self._scalar(float(target.bits), np.float32),
            output=output,
            domain=QONNX_DOMAIN,
            signed=int(target.signed),
            narrow=0,
            rounding_mode="FLOOR",
        )

    # Nodes

    def _input(self, name: str) -> str:
        if self.dialect == "onnx":
            return self._cast(name, FLOAT32)
        target = self.network.input_format
        return self._quant(name, target) if _has_quant(target) else name

    def _lower(self, node: Node) -> None:
        source = self.tensors[node.input]
        match node:
            case Flatten():
                output = self._add("Flatten", source, output=node.name, axis=1)
            case MaxPool2d():
                output = self._add(
                    "MaxPool",
                    source,
                    output=node.name,
                    kernel_shape=node.kernel,
                    strides=node.stride,
                    pads=[*node.padding, *node.padding],
                )
            case Reshape():
                output = self._add("Reshape", source, self._ints(0, *node.to), output=node.name)
            case Gather():
                output = self._gather(node, source)
            case Concat():
                sources = [self.tensors[name] for name in node.reads]
                output = self._add("Concat", *sources, output=node.name, axis=1)
            case Lookup():
                output = self._look_up(node, source)
            case Requantizing():
                output = self._requantize(node, *self._accumulate(node, source))
            case _:
                raise AssertionError(f"{node.name} has no form in ONNX")
        self.tensors[node.name] = output

    def _accumulate(self, node: Node, source: str) -> tuple[str, np.dtype]:
        """Append a node's accumulators; returns their tensor and its type."""
        bounds = self.network.bounds[node.name]
        products_type = self._products_type(node)
        total = self._as(source, FLOAT32, products_type)
        if isinstance(node, Multiply):
            other = self._as(self.tensors[node.other], FLOAT32, products_type)
            return self._add("Mul", total, other), products_type
        output = accumulator_name(node.name)
        if isinstance(node, AveragePool2d):
            self.values.append(self._value(output, products_type, self._shape(node)))
            return self._sum_windows(node, total, output), products_type
        if not isinstance(node, MatrixLayer):
            return total, products_type
        total_type = FLOAT32
        if bounds.accumulator >= EXACT_FLOAT32:
            total_type = FLOAT64 if bounds.accumulator < EXACT_FLOAT64 else INT64
        total = self._as(self._multiply(node, total, products_type), products_type, total_type)
        bias = self._constant(f"{node.name}/bias", self._by_channel(node, node.bias, total_type))
        self.values.append(self._value(output, total_type, self._shape(node)))
        return self._add("Add", total, bias, output=output), total_type

    def _products_type(self, node: Node) -> np.dtype:
        return FLOAT32 if self.network.bounds[node.name].products < EXACT_FLOAT32 else FLOAT64

    def _multiply(self, node: MatrixLayer, source: str, dtype: np.dtype) -> str:
        """Append a layer's sums of products, (N, O, OH, OW) or (N, O), without bias."""
        if not isinstance(node, Conv2d):
            return self._add("MatMul", source, self._weight(node, node.weight.T, dtype))
        if dtype == FLOAT32:
            return self._add(
                "Conv",
                source,
                self._weight(node, node.weight, dtype),
                kernel_shape=node.kernel,
                strides=node.stride,
                pads=[*node.padding, *node.padding],
                dilations=node.dilation,
                group=node.groups,
            )
        weight = self._weight(node, node.weight.reshape(node.groups, -1, node.rows), dtype)
        unrolled = self._unroll(node, source)  # (N, groups, rows, OH*OW)
        return self._reshape(self._add("MatMul", weight, unrolled), *self._shape(node))

    def _weight(self, node: MatrixLayer, weight: np.ndarray, dtype: np.dtype) -> str:
        name = f"{node.name}/weight"
        if self.dialect == "onnx":
            # Integers as they are stored; the runtime casts them once, when it loads the graph.
            return self._cast(self._constant(name, np.ascontiguousarray(weight)), dtype)
        constant = self._constant(name, np.ascontiguousarray(weight, FLOAT32))
        target = ActivationFormat(bits=node.weight_bits, signed=True, scale=1.0)
        return self._as(self._quant(constant, target), FLOAT32, dtype)

    def _requantize(self, node: Requantizing, total: str, dtype: np.dtype) -> str:
        parameters = node.requantize
        if parameters is None:
            logits = INT64 if self.dialect == "onnx" else FLOAT64
            return self._cast(total, logits, output=output_name(self.network, node.name))
        exact = self.network.bounds[node.name].requantized < EXACT_FLOAT64
        wide = FLOAT64 if exact else INT64

        def scaled(tensor: str, dtype: np.dtype, multiplier: np.ndarray, name: str) -> str:
            factor = self._by_channel(node, multiplier, wide)
            if exact:
                factor = np.ldexp(factor, -parameters.shift)
            constant = self._constant(f"{node.name}/{name}", factor)
            return self._add("Mul", self._as(tensor, dtype, wide), constant)

        total = scaled(total, dtype, parameters.multiplier, "multiplier")
        if parameters.skip is not None:
            skip = self.tensors[parameters.skip]
            factors = np.array(parameters.skip_factors, dtype=np.int64)
            skip = scaled(skip, FLOAT32, factors, "skip_multiplier")
            total = self._add("Add", total, skip)
        if parameters.offset is not None:
            offset = self._by_channel(node, parameters.offset, wide)
            offset = np.ldexp(offset, -parameters.shift) if exact else offset
            total = self._add("Add", total, self._constant(f"{node.name}/offset", offset))
        if parameters.shift:
            half = 0.5 if exact else parameters.rounding
            total = self._add("Add", total, self._scalar(half, wide))
            if not exact:
                total = self._shift_right(total, parameters.shift)
        return self._limit(total, parameters.format, wide, node)

    def _shift_right(self, total: str, shift: int) -> str:
        """Append an arithmetic shift in int64: without its remainder a division is exact."""
        divisor = self._scalar(1 << shift, INT64)
        whole = self._add("Sub", total, self._add("Mod", total, divisor))
        return self._add("Div", whole, divisor)

    def _limit(self, total: str, target: ActivationFormat, dtype: np.dtype, node: Node) -> str:
        """Append rounding down and clamping to a format."""
        self.values.append(self._value(node.name, FLOAT32, self._shape(node)))
        if self.dialect == "qonnx" and _has_quant(target):
            return self._quant(self._as(total, dtype, FLOAT64), target, output=node.name)
        if dtype == FLOAT64:
            total = self._add("Floor", total)
        limits = (self._scalar(limit, dtype) for limit in (target.lo, target.hi))
        return self._cast(self._add("Clip", total, *limits), FLOAT32, output=node.name)

    # Indexing

    def _gather(self, node: Gather, source: str) -> str:
        """Append the choice along every axis; zeros stand behind the last position."""
        shape = self.network.shapes[node.input]
        chosen = [
            (axis, positions, shape[axis - 1])
            for axis, positions in enumerate(node.positions, 1)
            if not np.array_equal(positions, np.arange(shape[axis - 1]))
        ]
        more = [0] * (len(shape) + 1)
        for axis, positions, _ in chosen:
            more[axis] = int((positions < 0).any())
        if any(more):
            source = self._add("Pad", source, self._ints(*[0] * len(more), *more))
        for axis, positions, side in chosen:
            places = np.where(positions < 0, side, positions).astype(np.int64)
            indices = self._constant(f"{node.name}/positions{axis}", places)
            source = self._add("Gather", source, indices, axis=axis)
        return self._add("Identity", source, output=node.name)

    def _look_up(self, node: Lookup, source: str) -> str:
        """Append the table, whose first entry is that of the format's smallest integer."""
        lowest = self.network.formats[node.input].lo
        if lowest:
            source = self._add("Sub", source, self._scalar(float(lowest), FLOAT32))
        table = self._constant(f"{node.name}/table", node.table.astype(FLOAT32))
        return self._add("Gather", table, self._cast(source, INT64), output=node.name, axis=0)

    # Windows

    def _shape(self, node: Node) -> tuple[int, ...]:
        return self.network.shapes[node.name]

    def _reshape(self, tensor: str, *shape: int) -> str:
        """Append a change of shape that leaves N alone."""
        return self._add("Reshape", tensor, self._ints(0, *shape))

    def _unroll(self, node: Conv2d, source: str) -> str:
        channels = self.network.shapes[node.input][0]
        _, height, width = self._shape(node)
        if any(node.padding):
            around = self._ints(0, 0, *node.padding, 0, 0, *node.padding)
            source = self._add("Pad", source, around)
        elements = [
            self._reshape(element, channels, 1, height * width)
            for element in self._elements(node, source)
        ]
        unrolled = self._add("Concat", *elements, axis=2) if len(elements) > 1 else elements[0]
        return self._reshape(unrolled, node.groups, node.rows, height * width)

    def _sum_windows(self, node: AveragePool2d, source: str, output: str) -> str:
        if node.kernel == self.network.shapes[node.input][1:]:
            return self._add("ReduceSum", source, self._ints(2, 3), output=output, keepdims=1)
        return self._add("Sum", *self._elements(node, source), output=output)

    def _elements(self, node: Conv2d | AveragePool2d, source: str) -> list[str]:
        """Append slices (N, C, OH, OW) that hold one element of every window each, in order."""
        sides = self._shape(node)[1:]
        elements = []
        for place in itertools.product(*map(range, node.kernel)):
            dilation = node.dilation if isinstance(node, Conv2d) else (1, 1)
            starts = [first * step for first, step in zip(place, dilation, strict=True)]
            ends = [
                first + step * (side - 1) + 1
                for first, step, side in zip(starts, node.stride, sides, strict=True)
            ]
            axes, steps = self._ints(2, 3), self._ints(*node.stride)
            slices = self._ints(*starts), self._ints(*ends), axes, steps
            elements.append(self._add("Slice", source, *slices))
        return elements


def _has_quant(target: ActivationFormat) -> bool:
    """Return whether ``Quant`` says this format: its signed bit is -1 or 1, ours is -1 or 0."""
    return target.bits > 1 or not target.signed


def with_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a graph that says the shape of every tensor, through QONNX's operators too."""
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    for node in plain.graph.node:
        if node.domain == QONNX_DOMAIN:
            cast = helper.make_node("Cast", node.input[:1], node.output, to=onnx.TensorProto.FLOAT)
            node.CopyFrom(cast)
    inferred = onnx.shape_inference.infer_shapes(plain, strict_mode=True)
    del model.graph.value_info[:]
    model.graph.value_info.extend(inferred.graph.value_info)
    return model
