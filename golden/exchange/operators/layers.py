"""Reads layers: convolutions, linear layers, average pooling, sums and products of tensors."""

import dataclasses
import functools
import math

import numpy as np

from adq.golden.exchange.integers import bounded
from adq.golden.exchange.opening import Operator
from adq.golden.exchange.operators.context import Context
from adq.golden.exchange.operators.shapes import flattening
from adq.golden.exchange.operators.windows import padded, window
from adq.golden.exchange.values import Grid, Pending, Value, Weights, making
from adq.golden.mapping.im2col import output_size
from adq.golden.nodes import AveragePool2d, Conv2d, Linear, Multiply, Node


def convolution(context: Context, operator: Operator) -> Pending:
    """Read a Conv of activations with quantized weights."""
    grid, weights = context.grid(operator), _weights(context, operator, 1)
    bias = _bias(context, operator, 2)
    integers, scale = weights.integers, weights.scale
    if integers.ndim == 3:  # a length is an image of one row
        integers, scale = integers[:, :, None], scale[:, :, None]
    if integers.ndim != 4:
        raise operator.error(f"has weights of shape {integers.shape}")
    kernel, stride, pads, dilation, (groups,) = window(
        context, operator, grid.shape, kernel=integers.shape[2:], group=1
    )
    if kernel != integers.shape[2:]:
        raise operator.error(f"has a kernel_shape of {kernel} and weights {integers.shape}")
    padding = (0, 0)
    if any(pads) and pads[:2] == pads[2:] and context.builder.can_be_centred(grid):
        grid, padding = context.builder.centred(grid), pads[:2]
    else:
        grid = padded(context, operator, grid, pads)
    weights = dataclasses.replace(weights, integers=integers, scale=scale)
    return _layer(
        context,
        operator,
        grid,
        weights,
        bias,
        making(Conv2d, stride=stride, padding=padding, groups=groups, dilation=dilation),
    )


def gemm(context: Context, operator: Operator) -> Pending:
    """Read a Gemm, which is a linear layer."""
    alpha, beta, across, turned = operator.take(alpha=1.0, beta=1.0, transA=0, transB=0)
    if (alpha, across) != (1.0, 0) or (beta != 1.0 and len(operator.inputs) > 2):
        raise operator.error("has alpha, beta or transA: a linear layer has alpha=beta=1, transA=0")
    weights = _weights(context, operator, 1)
    if weights.integers.ndim != 2:
        raise operator.error("has weights that are no matrix")
    weights = weights if turned else weights.transposed((1, 0))
    return _linear(context, operator, context.grid(operator), weights, _bias(context, operator, 2))


def matrix_product(context: Context, operator: Operator) -> Pending:
    """Read a MatMul of activations with quantized weights."""
    operator.take()
    weights = _weights(context, operator, 1)
    if weights.integers.ndim != 2:
        raise operator.error("multiplies by something else than a matrix of weights")
    return _linear(context, operator, context.grid(operator), weights.transposed((1, 0)), None)


def average(context: Context, operator: Operator) -> Pending:
    """Read an AveragePool, a GlobalAveragePool, or a ReduceMean over height and width."""
    grid = context.grid(operator)
    if len(grid.shape) != 3:
        raise operator.error(f"averages a tensor of shape {grid.shape}: images are understood")
    flat = False
    if operator.kind == "AveragePool":
        kernel, stride, pads, dilations, (included,) = window(
            context, operator, grid.shape, count_include_pad=0
        )
        if any(pads) and not included:
            raise operator.error(
                "averages without its padding, so that windows differ: use count_include_pad=1"
            )
        if dilations != (1, 1):
            raise operator.error("is dilated: average pooling is understood without dilation")
        grid = padded(context, operator, grid, pads)
    else:
        _, height, width = grid.shape
        kernel = stride = (height, width)
        if operator.kind == "ReduceMean":
            flat = _reduces(context, operator, grid)
        else:
            operator.take()
    count = math.prod(kernel)
    channels = grid.shape[0]
    sides = tuple(map(output_size, grid.shape[1:], kernel, stride, (0, 0)))
    unit = np.full(channels, grid.scale / count)
    bound = count * (context.builder.formats[grid.tensor].magnitude + abs(grid.zero))
    pending = Pending(
        name=operator.name,
        make=making(AveragePool2d, input=grid.tensor, kernel=kernel, stride=stride),
        shape=(channels, *sides),
        unit=unit,
        factor=unit,
        offset=np.zeros(channels),
        bound=np.full(channels, bound),
        shift=-count * grid.zero,
        original=operator.output,
    )
    if flat:
        return flattening(pending)
    return pending


def product(context: Context, operator: Operator) -> Pending:
    """Read a Mul of two tensors of activations."""
    one, other = (context.builder.centred(context.grid(operator, place)) for place in (0, 1))
    if math.prod(one.shape) < math.prod(other.shape):
        one, other = other, one
    formats = context.builder.formats
    unit = np.full(one.shape[0], one.scale * other.scale)
    bound = formats[one.tensor].magnitude * formats[other.tensor].magnitude
    return Pending(
        name=operator.name,
        make=making(Multiply, input=one.tensor, other=other.tensor),
        shape=one.shape,
        unit=unit,
        factor=unit,
        offset=np.zeros(len(unit)),
        bound=np.full(len(unit), bound),
    )


def _linear(
    context: Context,
    operator: Operator,
    grid: Grid,
    weights: Weights,
    bias: np.ndarray | Weights | None,
) -> Pending:
    if len(grid.shape) != 1:
        raise operator.error(f"reads a tensor of shape {grid.shape}: flatten it before")
    return _layer(context, operator, grid, weights, bias, making(Linear))


def _layer(
    context: Context,
    operator: Operator,
    grid: Grid,
    weights: Weights,
    bias: np.ndarray | Weights | None,
    make: functools.partial[Node],
) -> Pending:
    """Return a layer's sums of products, whose zero point will be in its bias."""
    if weights.bits > 16:
        raise operator.error(f"has weights of {weights.bits} bits: at most 16 are computed")
    outputs = len(weights.integers)
    scales = weights.scale.reshape(outputs, -1)
    if (scales != scales[:, :1]).any():
        raise operator.error(
            "has weights whose scale differs within an output channel: use a scale an output "
            "channel, or one a tensor"
        )
    sums = weights.integers.reshape(outputs, -1)
    unit = grid.scale * scales[:, 0]
    if isinstance(bias, Weights):
        # Its scale is that of the sums, but for float32: then its integers are meant.
        own = np.broadcast_to(bias.scale.reshape(-1), (bias.integers.size,))
        meant = own.size == outputs and (np.abs(own / unit - 1) < 1e-6).all()
        bias = bias.integers.reshape(-1) * unit if meant else bias.real
    if bias is not None:
        bias = bias.astype(np.float64)
        if bias.shape not in ((), (1,), (1, 1), (outputs,), (1, outputs)):
            raise operator.error(f"has a bias of shape {bias.shape} for {outputs} outputs")
        bias = np.broadcast_to(bias.reshape(-1), (outputs,))
    source = context.builder.formats[grid.tensor]
    make = functools.partial(
        make, input=grid.tensor, weight=weights.integers, weight_bits=weights.bits
    )
    # The node itself checks shapes and widths; its requantization comes later.
    trial = make(name="trial", bias=np.zeros(outputs, np.int64), requantize=None)
    return Pending(
        name=operator.name,
        make=make,
        shape=bounded(trial.output_shape(grid.shape), operator.name),
        unit=unit,
        factor=unit,
        offset=np.zeros(outputs),
        bound=np.abs(sums).sum(1) * source.magnitude,
        zeros=-grid.zero * sums.sum(1),
        bias=bias,
        original=operator.output,
    )


def _weights(context: Context, operator: Operator, place: int) -> Weights:
    value: Value = context.value(operator, place)
    if isinstance(value, np.ndarray):
        raise operator.error(
            "has weights in floating point: quantize them (weight_quant in Brevitas, "
            "DequantizeLinear in ONNX)"
        )
    if not isinstance(value, Weights):
        raise operator.error("multiplies two tensors of activations: weights must be constants")
    return value


def _bias(context: Context, operator: Operator, place: int) -> np.ndarray | Weights | None:
    """Return the bias of a layer, whether a file quantizes it or not."""
    if len(operator.inputs) <= place or not operator.inputs[place]:
        return None
    value = context.values[operator.inputs[place]]
    if not isinstance(value, np.ndarray | Weights):
        raise operator.error("has a bias that is computed: it must be a constant")
    if isinstance(value, np.ndarray) and not np.isfinite(value).all():
        raise operator.error("has a bias that is no finite numbers")
    return value


def _reduces(context: Context, operator: Operator, grid: Grid) -> bool:
    """Return whether a ReduceMean over height and width gives a vector."""
    axes, kept, empty = operator.take(axes=None, keepdims=1, noop_with_empty_axes=0)
    given = context.constant(operator, 1, "axes")
    axes = given.reshape(-1).tolist() if given is not None else list(axes or ())
    inner = list(range(2, context.rank(grid.shape)))
    if context.axes(operator, axes, grid.shape) != inner or empty:
        raise operator.error(
            f"averages over axes {axes}: height and width, {inner}, are understood"
        )
    return not kept


LAYERS = {
    "Conv": convolution,
    "Gemm": gemm,
    "MatMul": matrix_product,
    "AveragePool": average,
    "GlobalAveragePool": average,
    "ReduceMean": average,
}
"""Operators that sum products or windows."""
