"""Coding of integers, and the checks that every part of a network shares."""

import dataclasses
import sys

import numpy as np

from adq.rtl.parameters import TileParameters


class NetworkError(ValueError):
    """A network that is not well formed, or a width in it that could overflow."""


def hardware_weight_bits(bits: int) -> int:
    """Round a trained precision (2 to 16 bits) up to the next width of the tile."""
    for width in TileParameters.weight_widths:
        if 2 <= bits <= width:
            return width
    raise NetworkError(f"weights of {bits} bits: a weight has 2 to 16 bits")


def check(condition: bool, message: str) -> None:
    """Raise ``NetworkError`` unless the condition holds."""
    if not condition:
        raise NetworkError(message)


def integers(array: np.ndarray, dtype: type, dimensions: int, what: str) -> np.ndarray:
    """Return a read-only copy of an integer array in ``dtype``, or say why there is none."""
    array = np.asarray(array)
    check(
        np.issubdtype(array.dtype, np.integer), f"{what} is {array.dtype}: it must be of integers"
    )
    check(
        array.ndim == dimensions and array.size > 0,
        f"{what} has shape {array.shape}: it must have {dimensions} dimensions, none of them 0",
    )
    limits = np.iinfo(dtype)
    check(
        limits.min <= int(array.min()) and int(array.max()) <= limits.max,
        f"{what} spans {array.min()} to {array.max()}, which {np.dtype(dtype)} does not hold",
    )
    array = array.astype(dtype, order="C")
    array.flags.writeable = False
    return array


@dataclasses.dataclass(frozen=True, kw_only=True)
class ActivationFormat:
    """Coding of the integers of an activation tensor; zero always stands for 0.0."""

    bits: int
    """Width, 1 to 16."""
    signed: bool
    """Two's complement, or unsigned (after a ReLU)."""
    scale: float
    """Real value of an integer 1."""

    def __post_init__(self) -> None:
        check(1 <= self.bits <= 16, f"activations of {self.bits} bits: they have 1 to 16 bits")
        check(
            0 < self.scale <= sys.float_info.max,
            f"activation scale {self.scale}: it must be a positive number",
        )

    @property
    def lo(self) -> int:
        """Smallest integer of the format."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def hi(self) -> int:
        """Largest integer of the format."""
        return (1 << (self.bits - 1 if self.signed else self.bits)) - 1

    @property
    def magnitude(self) -> int:
        """Largest absolute value of the format."""
        return max(-self.lo, self.hi)

    @property
    def dtype(self) -> np.dtype:
        """Smallest integer dtype that holds the format."""
        return np.dtype(f"{'int' if self.signed else 'uint'}{8 if self.bits <= 8 else 16}")
