"""The integer network as QONNX with float scales, as Brevitas writes it, for other tools.

Tensors hold real numbers: ``scale * integer``. Weights, the input and every activation pass a
``Quant`` that says their bits and scale. Layers are Conv and MatMul in float32, ReLUs stand before
unsigned quantizers, and residual connections are additions. Tools that take networks apart (qonnx,
hls4ml, FINN) want this form; integers that nothing rounds are in ``adq.golden.onnx.graph``.

A layer's weights have one scale, a power of two; the multiplier of each channel stands in the batch
norm behind the layer. Halves are rounded to even, as ``Quant`` does: the integer network rounds
them up.
"""

import dataclasses
import math
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from adq.golden.formats import ActivationFormat
from adq.golden.network import Network
from adq.golden.nodes import (
    INPUT,
    AveragePool2d,
    Concat,
    Conv2d,
    Flatten,
    Gather,
    Linear,
    Lookup,
    MatrixLayer,
    MaxPool2d,
    Multiply,
    Node,
    Requantizing,
    Rescale,
    Reshape,
)
from adq.golden.onnx.check import OnnxError
from adq.golden.onnx.graph import IR_VERSION, OPSET, QONNX_DOMAIN, output_name, with_shapes
from adq.golden.requantize import Requantize

_ROUNDED = 2.0**-14
"""A factor this near to 1 is 1, but for the 16 bits of M."""


def build_scaled(network: Network) -> onnx.ModelProto:
    """Lower a network to QONNX with float scales, for one image (1, C, H, W) of real numbers.

    Raises
    ------
    OnnxError
        A node has no form there; the message names it.

    """
    return _Lowering(network).model()


@dataclasses.dataclass
class _Lowering:
    network: Network
    nodes: list[onnx.NodeProto] = dataclasses.field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = dataclasses.field(default_factory=dict)
    tensors: dict[str, str] = dataclasses.field(default_factory=dict)
    """Name in the graph of each of the network's tensors."""

    def model(self) -> onnx.ModelProto:
        network = self.network
        self.tensors[INPUT] = self._quant(INPUT, network.input_format, f"{INPUT}/quant")
        for node in network.nodes:
            self.tensors[node.name] = self._lower(node)
        for name in network.outputs:
            self._add("Identity", self.tensors[name], output=output_name(network, name))
        graph = helper.make_graph(
            self._without_last_identities(),
            "network",
            [self._value(INPUT, network.input_shape)],
            [
                self._value(output_name(network, name), network.shapes[name])
                for name in network.outputs
            ],
            list(self.constants.values()),
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(QONNX_DOMAIN, 1)]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="adq"
        )
        return with_shapes(model)

    def _without_last_identities(self) -> list[onnx.NodeProto]:
        """Let the operators in front of outputs give these themselves, where nothing else reads."""
        nodes = {node.output[0]: node for node in self.nodes}
        reads = [name for node in self.nodes for name in node.input]
        for node in [each for each in self.nodes if each.op_type == "Identity"]:
            before = nodes.get(node.input[0])
            if before is not None and reads.count(node.input[0]) == 1:
                before.output[0] = node.output[0]
                self.nodes.remove(node)
        return self.nodes

    # Graph

    def _value(self, name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, *shape])

    def _add(
        self, kind: str, *inputs: str, output: str, name: str | None = None, **attributes: Any
    ) -> str:
        name = output if name is None else name
        self.nodes.append(helper.make_node(kind, inputs, [output], name=name, **attributes))
        return output

    def _constant(self, name: str, array: np.ndarray, dtype: type = np.float32) -> str:
        # No array of no axes: hls4ml reads none.
        self.constants[name] = numpy_helper.from_array(np.asarray(array, dtype), name)
        return name

    def _quant(self, tensor: str, target: ActivationFormat, output: str) -> str:
        if target.bits == 1 and target.signed:
            raise OnnxError(f"{output}: a signed format of one bit is -1 and 1 in QONNX")
        return self._add(
            "Quant",
            tensor,
            self._constant(f"{output}/scale", np.array(target.scale)),
            self._constant(f"{output}/zero", np.array(0.0)),
            self._constant(f"{output}/bits", np.array(float(target.bits))),
            output=output,
            name=f"{output}/quant",
            domain=QONNX_DOMAIN,
            signed=int(target.signed),
            narrow=0,
            rounding_mode="ROUND",
        )

    # Nodes

    def _lower(self, node: Node) -> str:
        source = self.tensors[node.input]
        match node:
            case Conv2d() | Linear():
                return self._layer(node, source)
            case MaxPool2d():
                return self._add(
                    "MaxPool", source, output=node.name, kernel_shape=node.kernel,
                    strides=node.stride, pads=[*node.padding, *node.padding],
                )  # fmt: skip
            case AveragePool2d():
                return self._average(node, source)
            case Rescale():
                return self._requantize(node, node.requantize, source, self._factor(node))
            case Multiply():
                product = self._add(
                    "Mul", source, self.tensors[node.other], output=f"{node.name}/mul"
                )
                other = self.network.formats[node.other].scale
                factor = self._factor(node) / other
                return self._requantize(node, node.requantize, product, factor)
            case Flatten():
                return self._add("Flatten", source, output=node.name, axis=1)
            case Reshape():
                shape = self._constant(f"{node.name}/shape", np.array([1, *node.to]), np.int64)
                return self._add("Reshape", source, shape, output=node.name)
            case Concat():
                sources = [self.tensors[name] for name in node.reads]
                return self._add("Concat", *sources, output=node.name, axis=1)
            case Gather():
                return self._gather(node, source)
            case Lookup():
                return self._rounded(node, source)
        raise OnnxError(
            f"{node.name}: {type(node).__name__} has no form in QONNX with float scales"
        )

    def _factor(self, node: Requantizing) -> np.ndarray:
        """Return the real factor of the accumulator's integers, for each channel."""
        requantize = node.requantize
        if requantize is None:
            raise AssertionError(f"{node.name} gives its accumulators")
        ratio: np.ndarray = np.ldexp(requantize.multiplier.astype(np.float64), -requantize.shift)
        return ratio * requantize.format.scale / self.network.formats[node.input].scale

    def _layer(self, node: MatrixLayer, source: str) -> str:
        """Append products with weights of one scale, and a batch norm that requantizes them.

        hls4ml passes scales of single channels through no convolution, and no bias beside a scale.
        """
        name, products = f"{node.name}/weight", f"{node.name}/products"
        target = ActivationFormat(
            bits=node.weight_bits, signed=True, scale=2.0 ** (1 - node.weight_bits)
        )
        real = node.weight * target.scale
        # A matrix product, which all of these tools take, is not a Gemm.
        real = real if isinstance(node, Conv2d) else real.T
        weight = self._quant(self._constant(f"{name}/real", real), target, name)
        if not isinstance(node, Conv2d):
            self._add("MatMul", source, weight, output=products, name=node.name)
        else:
            self._add(
                "Conv",
                source,
                weight,
                output=products,
                name=node.name,
                kernel_shape=node.kernel,
                strides=node.stride,
                pads=[*node.padding, *node.padding],
                dilations=node.dilation,
                group=node.groups,
            )
        unit = target.scale * self.network.formats[node.input].scale
        if node.requantize is None:
            bias = self._constant(f"{node.name}/bias", self._by_channel(node, node.bias * unit))
            return self._add("Add", products, bias, output=f"{node.name}/logits")
        factor = self._factor(node) / target.scale
        numbers = {
            "gamma": factor,
            "beta": node.bias * factor * unit + _offset(node.requantize),
            "mean": 0 * factor,
            "variance": 1 + 0 * factor,
        }
        norm, output = f"{node.name}/norm", f"{node.name}/sum"
        inputs = [self._constant(f"{norm}/{what}", array) for what, array in numbers.items()]
        self._add("BatchNormalization", products, *inputs, output=output, name=norm, epsilon=0.0)
        return self._finish(node, node.requantize, output)

    def _average(self, node: AveragePool2d, source: str) -> str:
        output, count = f"{node.name}/mean", math.prod(node.kernel)
        if node.kernel == self.network.shapes[node.input][1:]:
            self._add("GlobalAveragePool", source, output=output, name=node.name)
        else:
            self._add(
                "AveragePool", source, output=output, name=node.name, kernel_shape=node.kernel,
                strides=node.stride,
            )  # fmt: skip
        return self._requantize(node, node.requantize, output, self._factor(node) * count)

    def _rounded(self, node: Lookup, source: str) -> str:
        """Append the quantizer that a table is, which only rounds to another scale."""
        given, target = self.network.formats[node.input], node.format
        entries = np.arange(given.lo, given.hi + 1, dtype=np.float32) * np.float32(given.scale)
        steps = np.rint(entries / np.float32(target.scale)).astype(np.int64)
        within = np.flatnonzero((node.table > target.lo) & (node.table < target.hi))
        middle = int(within[len(within) // 2]) if len(within) else 0
        offset = int(node.table[middle] - steps[middle])
        if not np.array_equal(np.clip(steps + offset, target.lo, target.hi), node.table):
            raise OnnxError(
                f"{node.name}: a table that is no rounding has no form in QONNX with float scales"
            )
        if offset:
            constant = self._constant(f"{node.name}/offset", np.array(offset * target.scale))
            source = self._add("Add", source, constant, output=f"{node.name}/shifted")
        if not target.signed:
            source = self._add("Relu", source, output=f"{node.name}/relu")
        return self._quant(source, target, node.name)

    def _requantize(
        self, node: Node, requantize: Requantize, tensor: str, factor: np.ndarray
    ) -> str:
        """Append factors and offsets a channel where they are some, and the quantizer."""
        tensor = self._scaled(tensor, factor, node)
        offset = _offset(requantize)
        if offset.any():
            constant = self._constant(f"{node.name}/offset", self._by_channel(node, offset))
            tensor = self._add("Add", tensor, constant, output=f"{node.name}/shifted")
        return self._finish(node, requantize, tensor)

    def _finish(self, node: Node, requantize: Requantize, tensor: str) -> str:
        """Append the skip connection, the ReLU and the quantizer."""
        if requantize.skip is not None and requantize.skip_multiplier is not None:
            ratio = np.ldexp(
                requantize.skip_multiplier.astype(np.float64),
                requantize.skip_shift - requantize.shift,
            )
            ratio *= requantize.format.scale / self.network.formats[requantize.skip].scale
            skip = self._scaled(self.tensors[requantize.skip], ratio, node, "skip")
            tensor = self._add("Add", tensor, skip, output=f"{node.name}/added")
        if not requantize.format.signed:
            tensor = self._add("Relu", tensor, output=f"{node.name}/relu")
        return self._quant(tensor, requantize.format, node.name)

    def _scaled(self, tensor: str, factor: np.ndarray, node: Node, what: str = "scaled") -> str:
        if (np.abs(factor - 1) < _ROUNDED).all():
            return tensor
        constant = self._constant(f"{node.name}/{what}/factor", self._by_channel(node, factor))
        return self._add("Mul", tensor, constant, output=f"{node.name}/{what}")

    def _by_channel(self, node: Node, numbers: np.ndarray) -> np.ndarray:
        """Return one number a channel, beside a tensor's axes but N: hls4ml knows no N."""
        return numbers.reshape(-1, *[1] * (len(self.network.shapes[node.name]) - 1))

    def _gather(self, node: Gather, source: str) -> str:
        """Append padding with zeros, or a choice along each axis."""
        shape = self.network.shapes[node.input]
        ends = [_padding(line, side) for line, side in zip(node.positions, shape, strict=True)]
        padded = [end for end in ends if end is not None]
        if len(padded) == len(ends):
            pads = [0, *(end[0] for end in padded), 0, *(end[1] for end in padded)]
            constant = self._constant(f"{node.name}/pads", np.array(pads), np.int64)
            return self._add("Pad", source, constant, output=node.name)
        if any((line < 0).any() for line in node.positions):
            raise OnnxError(
                f"{node.name}: pads and chooses at once, which has no form in QONNX with float "
                "scales"
            )
        for axis, line in enumerate(node.positions, 1):
            name = f"{node.name}/positions{axis}"
            last = axis == len(node.positions)
            source = self._add(
                "Gather",
                source,
                self._constant(name, line, np.int64),
                output=node.name if last else f"{node.name}/axis{axis}",
                axis=axis,
            )
        return source


def _offset(requantize: Requantize) -> np.ndarray:
    """Return the offsets of a requantization in real numbers."""
    if requantize.offset is None:
        return np.zeros(len(requantize.multiplier))
    units: np.ndarray = np.ldexp(requantize.offset.astype(np.float64), -requantize.shift)
    return units * requantize.format.scale


def _padding(line: np.ndarray, side: int) -> tuple[int, int] | None:
    """Return zeros before and behind all positions of an axis in order, or None for another
    choice.
    """
    inside = np.flatnonzero(line >= 0)
    if not np.array_equal(line[inside], np.arange(side)) or len(inside) != side:
        return None
    first = int(inside[0])
    if not np.array_equal(inside, np.arange(first, first + side)):
        return None
    return first, len(line) - first - side
