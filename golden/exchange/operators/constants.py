"""Folds operators whose inputs are constants."""

import numpy as np
from onnx import helper

from adq.golden.exchange.opening import Operator


def _constant(operator: Operator, values: list[np.ndarray], opset: int) -> np.ndarray:
    (value, single, several, real, reals) = operator.take(
        value=None, value_int=None, value_ints=None, value_float=None, value_floats=None
    )
    for found, dtype in ((single, "i8"), (several, "i8"), (real, "f4"), (reals, "f4")):
        if found is not None:
            return np.array(found, dtype)
    if value is None:
        raise operator.error("holds no numbers")
    return np.asarray(value)


def _cast(operator: Operator, values: list[np.ndarray], opset: int) -> np.ndarray:
    to, _, _ = operator.take(to=0, saturate=1, round_mode=None)
    try:
        return values[0].astype(helper.tensor_dtype_to_np_dtype(to))
    except (KeyError, TypeError):
        raise operator.error("casts to an unknown type") from None


def _transpose(operator: Operator, values: list[np.ndarray], opset: int) -> np.ndarray:
    (order,) = operator.take(perm=None)
    if order is not None and sorted(order) != list(range(values[0].ndim)):
        raise operator.error(f"has perm={order} for a tensor of shape {values[0].shape}")
    return values[0].transpose(order)


def _reshape(operator: Operator, values: list[np.ndarray], opset: int) -> np.ndarray:
    operator.take(allowzero=0)
    try:
        return values[0].reshape([int(side) for side in values[1].reshape(-1)])
    except (ValueError, IndexError):
        raise operator.error(f"reshapes a constant of shape {values[0].shape}") from None


def _product(operator: Operator, values: list[np.ndarray], opset: int) -> np.ndarray:
    operator.take()
    try:
        return np.asarray(np.multiply(*values))
    except (ValueError, TypeError):
        raise operator.error("multiplies constants of other shapes") from None


def _same_constant(operator: Operator, values: list[np.ndarray], opset: int) -> np.ndarray:
    return values[0]


FOLDED = {
    "Constant": _constant,
    "Cast": _cast,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Identity": _same_constant,
    "Mul": _product,
}
"""Operators that are computed where all of their inputs are constants."""
