"""Reads quantizers: ``Quant`` of QONNX, QuantizeLinear and DequantizeLinear of ONNX."""

import numpy as np

from adq.golden.exchange.opening import Operator
from adq.golden.exchange.operators import quantizers
from adq.golden.exchange.operators.context import Context
from adq.golden.exchange.values import (
    Codes,
    Grid,
    Joined,
    Pending,
    Quantizer,
    Source,
    Tabled,
    Value,
    Weights,
)


def quant(context: Context, operator: Operator) -> Value:
    """Read a ``Quant``: weights become integers, a layer before it gets its requantization."""
    scale, zero, bits = (
        context.required(operator, place, what)
        for place, what in ((1, "scale"), (2, "zero point"), (3, "bit width"))
    )
    parameters = quantizers.quant_parameters(operator, scale, zero, bits)
    value = context.value(operator, 0)
    if isinstance(value, Weights):
        value = value.real
    if isinstance(value, np.ndarray):
        return quantizers.quantized(operator, value, *parameters)
    quantizer = quantizers.activations(operator, *parameters, zero_first=True)
    return dequantized(context, operator, quantize(context, operator, value, quantizer), quantizer)


def quantize_linear(context: Context, operator: Operator) -> Value:
    """Read a QuantizeLinear: integers of constants, or of what was computed."""
    scale = context.required(operator, 1, "scale")
    zero = context.constant(operator, 2, "zero point")
    parameters = quantizers.linear_parameters(operator, scale, zero, None)
    value = context.value(operator, 0)
    if isinstance(value, np.ndarray):
        scale, zero, lo, hi = parameters
        both = quantizers.both_beside(operator, (scale, zero), _axis(operator), value.ndim)
        weights = quantizers.quantized(operator, value, *both, lo, hi)
        integers: np.ndarray = weights.integers + both[1]
        return integers.astype(quantizers.integer_type(lo, hi))
    codes = quantize(context, operator, value, quantizers.activations(operator, *parameters))
    context.builder.codes.setdefault(codes.tensor, (operator.output, codes.base))
    return codes


def dequantize_linear(context: Context, operator: Operator) -> Value:
    """Read a DequantizeLinear: the real numbers of integers."""
    scale = context.required(operator, 1, "scale")
    zero = context.constant(operator, 2, "zero point")
    value = context.value(operator, 0)
    if isinstance(value, np.ndarray):
        limits = quantizers.integer_limits(value.dtype)
        if limits is None:
            raise operator.error(f"reads constants of {value.dtype}: integers are understood")
        scale, zero, lo, hi = quantizers.linear_parameters(operator, scale, zero, value.dtype)
        both = quantizers.both_beside(operator, (scale, zero), _axis(operator), value.ndim)
        if not value.size:
            raise operator.error("reads a constant of no elements")
        return quantizers.centred(value.astype(np.int64), *both, (hi - lo).bit_length())
    quantizer = quantizers.activations(
        operator, *quantizers.linear_parameters(operator, scale, zero, None)
    )
    if isinstance(value, Source):
        value = _integer_input(context, operator, value, quantizer)
    if not isinstance(value, Codes):
        raise operator.error("reads numbers in floating point: integers are expected")
    return dequantized(context, operator, value, quantizer)


def quantize(context: Context, operator: Operator, value: Value, quantizer: Quantizer) -> Codes:
    """Return the integers that a quantizer makes of a value."""
    if isinstance(value, Source):
        return context.begin(operator, value, quantizer)
    if isinstance(value, Grid | Pending | Tabled | Joined):
        return context.builder.settle(value, quantizer)
    raise operator.error("quantizes integers, which have no scale")


def dequantized(context: Context, operator: Operator, codes: Codes, quantizer: Quantizer) -> Grid:
    """Return the real numbers of integers, and note where the file has them."""
    grid = Grid(
        tensor=codes.tensor,
        shape=codes.shape,
        scale=quantizer.scale,
        zero=quantizer.zero - codes.base,
    )
    return context.builder.know(grid, operator.output)


def _axis(operator: Operator) -> int:
    """Return the axis of scales, whose type ``take`` has checked."""
    axis = operator.attributes.get("axis", 1)
    return axis if isinstance(axis, int) else 1


def _integer_input(
    context: Context, operator: Operator, source: Source, quantizer: Quantizer
) -> Codes:
    """Take an input of integers, whose zero point and scale stand in the graph."""
    limits = quantizers.integer_limits(context.graph.input_dtype)
    if limits is None or limits[1] - limits[0] >= 1 << 16:
        raise operator.error(f"reads the input of {context.graph.input_dtype}")
    lo, hi = limits
    whole = Quantizer(scale=quantizer.scale, zero=quantizer.zero, lo=lo, hi=hi)
    return context.begin(operator, source, whole)


QUANTIZING = {
    "Quant": quant,
    "IntQuant": quant,
    "QuantizeLinear": quantize_linear,
    "DequantizeLinear": dequantize_linear,
}
