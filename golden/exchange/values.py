"""Tensors of a quantized ONNX graph, as an integer network sees them.

A graph in floating point says integers by quantizers: a tensor behind one holds
``scale * (q - zero)``. What a layer computes from such tensors is ``factor * accumulator +
offset``, real numbers, until the next quantizer makes integers of them again.

Notation used for shapes: C channels. The shapes of tensors leave out N.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from adq.golden.exchange.opening import ExchangeError
from adq.golden.formats import ActivationFormat
from adq.golden.nodes import Node

ROUNDINGS = ("nearest", "floor", "ceil")
"""How a quantizer rounds. The nearest integer is the upper one of two where files say the even
one: the format rounds halves up."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class IntegerForm:
    """Coding of a range of integers around a zero in a format of the network."""

    format: ActivationFormat
    zero: int
    """Integer that stands for 0.0."""
    lo: int
    hi: int
    """Limits, which may be narrower than the format's."""

    @classmethod
    def of(cls, lo: int, hi: int, scale: float) -> "IntegerForm":
        """Code integers from ``lo`` to ``hi``, of which 0 stands for 0.0.

        Unsigned or two's complement where that needs no more bits than there are integers;
        otherwise unsigned from ``lo`` on, with a zero of its own.

        Raises
        ------
        ExchangeError
            They are more than 16 bits hold.

        """
        if lo >= 0:
            bits, signed, zero = max(1, hi.bit_length()), False, 0
        else:
            bits, signed, zero = max((-lo - 1).bit_length(), max(hi, 0).bit_length()) + 1, True, 0
            span = (hi - lo).bit_length()
            if span < bits:
                bits, signed, zero = max(1, span), False, -lo
        if bits > 16:
            raise ExchangeError(f"has activations of {bits} bits: at most 16 are computed")
        target = ActivationFormat(bits=bits, signed=signed, scale=scale)
        return cls(format=target, zero=zero, lo=lo + zero, hi=hi + zero)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantizer:
    """A quantizer of activations: ``q = clamp(round(x / scale) + zero, lo, hi)``."""

    scale: float
    zero: int
    lo: int
    hi: int
    rounding: str = "nearest"
    zero_first: bool = False
    """True if the zero is added before it rounds, as QONNX does."""

    def form(self, least: float = -np.inf, most: float = np.inf) -> IntegerForm:
        """Return integers q - zero of real numbers that are clipped to ``least`` and ``most``."""
        lo, hi = self.lo - self.zero, self.hi - self.zero
        lo, hi = (
            int(min(max(float(self._rounded(limit / self.scale)), lo), hi))
            for limit in (least, most)
        )
        return IntegerForm.of(lo, hi, self.scale)

    def integers(self, real: np.ndarray) -> np.ndarray:
        """Quantize float32 numbers as the file's own quantizer does; int64, q - zero."""
        steps: np.ndarray = real.astype(np.float32) / np.float32(self.scale)
        if self.zero_first:
            steps = self._rounded(steps + np.float32(self.zero)) - self.zero
        else:
            steps = self._rounded(steps)
        limited: np.ndarray = np.clip(steps, self.lo - self.zero, self.hi - self.zero)
        return limited.astype(np.int64)

    def _rounded(self, number: npt.ArrayLike) -> np.ndarray:
        rounds: dict[str, np.ufunc] = {"nearest": np.rint, "floor": np.floor, "ceil": np.ceil}
        return np.asarray(rounds[self.rounding](number))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """Constants that a file quantizes: ``scale * integers``."""

    integers: np.ndarray
    """int64, their zero point taken off."""
    scale: np.ndarray
    """float64, of as many axes."""
    bits: int

    @property
    def real(self) -> np.ndarray:
        """The constants in float64."""
        real: np.ndarray = self.integers * self.scale
        return real

    def transposed(self, axes: tuple[int, ...]) -> "Weights":
        """Return them with their axes in another order."""
        return dataclasses.replace(
            self, integers=self.integers.transpose(axes), scale=self.scale.transpose(axes)
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """The images in floating point, and what is done to them before they are quantized."""

    shape: tuple[int, ...]
    prelude: tuple[Callable[[np.ndarray], np.ndarray], ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Codes:
    """Integers of the file, which are those of a tensor of the network plus ``base``."""

    tensor: str
    shape: tuple[int, ...]
    base: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grid:
    """A tensor of the network; its integers stand for ``scale * (integer - zero)``."""

    tensor: str
    shape: tuple[int, ...]
    scale: float
    zero: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Move:
    """A node that only moves or chooses integers: it stands before or after a quantizer alike."""

    name: str
    make: Callable[..., Node]


def making(kind: type[Node], **fields: Any) -> functools.partial[Node]:
    """Return what makes a node of a kind, with some of its fields."""
    return functools.partial(kind, **fields)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Pending:
    """Real numbers ``factor * (accumulator + shift) + offset``, for a quantizer to come.

    A skip connection adds ``skip.scale * (integer - skip.zero)``; then ``least`` and ``most`` clip
    it, and ``moves`` follow.
    """

    name: str
    make: functools.partial[Node]
    """The node, but for its name, its requantization and its bias."""
    shape: tuple[int, ...]
    unit: np.ndarray
    """float64 (C,): real value of an accumulator's 1."""
    factor: np.ndarray
    """float64 (C,): the same, times what followed."""
    offset: np.ndarray
    """float64 (C,)."""
    bound: np.ndarray
    """Largest absolute accumulator, without bias, of each channel."""
    shift: int = 0
    """Number that zero points take from every accumulator, if there is no bias that can hold it."""
    zeros: np.ndarray | None = None
    """int64 (C,): the same in the bias of a layer; None where there is no bias."""
    bias: np.ndarray | None = None
    """float64 (C,): real bias; None where there is none yet."""
    skip: Grid | None = None
    least: float = -np.inf
    most: float = np.inf
    moves: tuple[Move, ...] = ()
    original: str | None = None
    """The file's tensor of accumulators with bias."""

    @property
    def is_layer(self) -> bool:
        """Return whether its node is a convolution or a linear layer."""
        return self.zeros is not None

    @property
    def is_open(self) -> bool:
        """Return whether factors and offsets can still be taken in."""
        return (self.least, self.most) == (-np.inf, np.inf) and not self.moves

    @property
    def is_bare(self) -> bool:
        """Return whether nothing but a bias followed the accumulators."""
        plain = self.is_open and self.skip is None and not self.offset.any()
        return plain and np.array_equal(self.unit, self.factor)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tabled:
    """A function of single integers, for a quantizer to come."""

    name: str
    grid: Grid
    function: Callable[[np.ndarray], np.ndarray]
    """From float32 to float32."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Joined:
    """Tensors one after another along their channels, for a quantizer to come."""

    name: str
    parts: tuple[Grid | Pending, ...]
    shape: tuple[int, ...]


Value = np.ndarray | Weights | Source | Codes | Grid | Pending | Tabled | Joined
"""Kinds of a tensor of the graph."""
