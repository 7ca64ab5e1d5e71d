"""The quantizers of both forms: QONNX's ``Quant``, and QuantizeLinear with DequantizeLinear."""

import re

import ml_dtypes
import numpy as np
from onnx import helper

from adq.golden.exchange.opening import Operator
from adq.golden.exchange.values import Quantizer, Weights

_INTEGER = re.compile(r"(u?)int(\d+)")

_ROUNDINGS = {
    "ROUND": "nearest",
    "HALF_EVEN": "nearest",
    "HALF_UP": "nearest",
    "HALF_DOWN": "nearest",
    "FLOOR": "floor",
    "CEIL": "ceil",
}
"""Rounding modes of QONNX. What they do with halves is told apart in no format of integers."""


def integer_limits(dtype: np.dtype) -> tuple[int, int] | None:
    """Return the least and the largest integer of a type, 4-bit types included; else None."""
    found = _INTEGER.fullmatch(str(dtype))
    if found is None:
        return None
    bits, signed = int(found[2]), not found[1]
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


def integer_type(lo: int, hi: int) -> np.dtype:
    """Return the type of which these are the limits, as ``integer_limits`` gives them."""
    name = f"{'int' if lo < 0 else 'uint'}{(hi - lo).bit_length()}"
    return np.dtype(getattr(ml_dtypes, name, name))


def quant_parameters(
    node: Operator, scale: np.ndarray, zero: np.ndarray, bits: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int, int, str]:
    """Return a ``Quant``'s scales, zeros, limits and rounding."""
    signed, narrow, mode = node.take(signed=1, narrow=0, rounding_mode="ROUND")
    scale = _scales(node, scale)
    width = int(_single(node, bits, "bit width"))
    if not 1 <= width <= 64 or (signed and width == 1):
        raise node.error(f"has {width} bit{'s' * (width > 1)}, signed: at least 2 are understood")
    rounding = _ROUNDINGS.get(mode.upper())
    if rounding is None:
        raise node.error(
            f"rounds by {mode}: ROUND, FLOOR and CEIL have an integer form, train with one of them"
        )
    lo = -(1 << (width - 1)) + bool(narrow) if signed else 0
    hi = (1 << (width - 1)) - 1 if signed else (1 << width) - 1 - bool(narrow)
    return scale, _whole(node, zero), lo, hi, rounding


def linear_parameters(
    node: Operator, scale: np.ndarray, zero: np.ndarray | None, dtype: np.dtype | None
) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Return scales, zeros and limits of QuantizeLinear or DequantizeLinear."""
    _, block, output, _, _ = node.take(
        axis=1, block_size=0, output_dtype=0, saturate=1, precision=0
    )
    if block:
        raise node.error(f"has blocks of {block} along an axis: use a scale a tensor or a channel")
    if zero is not None:
        dtype = zero.dtype
    elif output:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(output))
    limits = integer_limits(dtype if dtype is not None else np.dtype(np.uint8))
    if limits is None:
        raise node.error(f"gives {dtype}: integers are understood")
    scale = _scales(node, scale)
    zeros = np.zeros_like(scale, np.int64) if zero is None else _whole(node, zero)
    return scale, zeros, *limits


def activations(
    node: Operator,
    scale: np.ndarray,
    zero: np.ndarray,
    lo: int,
    hi: int,
    rounding: str = "nearest",
    *,
    zero_first: bool = False,
) -> Quantizer:
    """Return a quantizer of activations, which has one scale.

    Raises
    ------
    ExchangeError
        It has several, or more bits than there are.

    """
    if np.unique(scale).size != 1 or np.unique(zero).size != 1:
        raise node.error(
            "quantizes activations with a scale or a zero point a channel: use one a tensor"
        )
    return Quantizer(
        scale=float(scale.flat[0]),
        zero=int(zero.flat[0]),
        lo=lo,
        hi=hi,
        rounding=rounding,
        zero_first=zero_first,
    )


def quantized(
    node: Operator,
    real: np.ndarray,
    scale: np.ndarray,
    zero: np.ndarray,
    lo: int,
    hi: int,
    rounding: str = "nearest",
) -> Weights:
    """Quantize constants, in float32 as the file's own quantizer does."""
    if not np.isfinite(real).all():
        raise node.error("quantizes constants that are no finite numbers")
    try:
        steps = real.astype(np.float32) / scale.astype(np.float32) + zero.astype(np.float32)
    except ValueError:
        raise node.error(f"has scales of shape {scale.shape} for {real.shape}") from None
    if steps.shape != real.shape:
        raise node.error(f"has scales of shape {scale.shape} for {real.shape}")
    rounded = {"nearest": np.rint, "floor": np.floor, "ceil": np.ceil}[rounding](steps)
    integers = np.clip(rounded, lo, hi).astype(np.int64)
    return centred(integers, scale, zero, (hi - lo).bit_length())


def centred(integers: np.ndarray, scale: np.ndarray, zero: np.ndarray, bits: int) -> Weights:
    """Return constants without their zero points, of as many bits as they then need."""
    whole = integers - zero
    needed = max((-int(whole.min()) - 1).bit_length(), int(whole.max()).bit_length()) + 1
    scale = np.broadcast_to(scale.astype(np.float64), whole.shape)
    return Weights(integers=whole, scale=scale, bits=max(bits, needed, 2))


def both_beside(
    node: Operator, numbers: tuple[np.ndarray, np.ndarray], axis: int, dimensions: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return scales and zeros, one a channel beside the axes of a tensor or one alone."""
    scale, zero = numbers
    return _beside(node, scale, axis, dimensions), _beside(node, zero, axis, dimensions)


def _beside(node: Operator, values: np.ndarray, axis: int, dimensions: int) -> np.ndarray:
    if values.size == 1:
        return values.reshape([1] * dimensions)
    if values.ndim != 1 or not -dimensions <= axis < dimensions:
        raise node.error(f"has scales of shape {values.shape} along axis {axis}")
    shape = [1] * dimensions
    shape[axis] = -1
    return values.reshape(shape)


def _scales(node: Operator, scale: np.ndarray) -> np.ndarray:
    scale = np.asarray(scale).astype(np.float64)
    if not (scale.size and np.isfinite(scale).all() and (scale > 0).all()):
        raise node.error("has a scale that is no positive number")
    return scale


def _whole(node: Operator, zero: np.ndarray) -> np.ndarray:
    real = np.asarray(zero).astype(np.float64)
    if not (real.size and np.isfinite(real).all() and (real == np.rint(real)).all()):
        raise node.error("has a zero point that is no integer")
    if np.abs(real).max() > 2**31:
        raise node.error("has a zero point beyond 32 bits")
    return real.astype(np.int64)


def _single(node: Operator, array: np.ndarray, what: str) -> float:
    values = np.unique(array)
    if values.size != 1 or not np.isfinite(values[0]) or values[0] != np.rint(values[0]):
        raise node.error(f"has a {what} that is no single integer")
    return float(values[0])
