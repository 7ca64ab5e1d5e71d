"""Requantization: from an accumulator to the next activation."""

import dataclasses
import math

import numpy as np

from adq.golden.formats import ActivationFormat, check, integers

MAXIMUM_SHIFT = 62
"""Largest shift of a requantization: its rounding term 2^(S-1) leaves int64 a bit of room."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Requantize:
    """From an accumulator to the next activation: multiply, add, shift with rounding, clamp.

    ``y = clamp((acc*M + (skip*M_skip << E) + offset + 2^(S-1)) >> S, lo, hi)`` with one M, one
    M_skip and one offset a channel, and one S and one E a layer; without a skip connection its
    product is absent, without offsets they are 0, and with S = 0 the rounding term is absent.
    """

    multiplier: np.ndarray
    """M: int16 (C,)."""
    shift: int
    """S: 0 to ``MAXIMUM_SHIFT``."""
    format: ActivationFormat
    """Format of y; an unsigned one is the ReLU."""
    skip: str | None = None
    """Tensor that a residual connection adds, of the accumulator's shape."""
    skip_multiplier: np.ndarray | None = None
    """M_skip: int64 (C,), within 16 bits, exactly where there is a skip.

    It shares S with M. The skip connection's real multiplier is near 1, the accumulator's falls
    with the precisions (about 2^-21 where all are 16 bits): one S for two 16-bit multipliers would
    leave M no significant bits, hence ``skip_shift``. Only artifacts of format version 3 and older
    have more than 16 bits, see ``has_wide_skip``.
    """
    skip_shift: int = 0
    """E: 0 to ``MAXIMUM_SHIFT``, places by which the skip connection's product moves up."""
    offset: np.ndarray | None = None
    """int64 (C,): finer than a bias, which M multiplies; where a batch norm stands alone."""

    def __post_init__(self) -> None:
        multiplier = integers(self.multiplier, np.int16, 1, "multiplier")
        object.__setattr__(self, "multiplier", multiplier)
        check(
            0 <= self.shift <= MAXIMUM_SHIFT,
            f"shift {self.shift}: it must be 0 to {MAXIMUM_SHIFT}",
        )
        check(
            (self.skip is None) == (self.skip_multiplier is None),
            "a skip connection and its multiplier go together: one of them is missing",
        )
        if self.skip_multiplier is not None:
            skip_multiplier = integers(self.skip_multiplier, np.int64, 1, "skip multiplier")
            check(
                skip_multiplier.shape == multiplier.shape,
                f"skip multiplier has {len(skip_multiplier)} channels, "
                f"multiplier {len(multiplier)}: they must be equal",
            )
            object.__setattr__(self, "skip_multiplier", skip_multiplier)
        self._check_skip_shift()
        if self.offset is not None:
            offset = integers(self.offset, np.int64, 1, "offset")
            check(
                offset.shape == multiplier.shape,
                f"offset has {len(offset)} channels, multiplier {len(multiplier)}: they must be "
                "equal",
            )
            object.__setattr__(self, "offset", offset)

    def _check_skip_shift(self) -> None:
        check(
            0 <= self.skip_shift <= MAXIMUM_SHIFT,
            f"skip shift {self.skip_shift}: it must be 0 to {MAXIMUM_SHIFT}",
        )
        check(
            self.skip_shift == 0 or self.skip is not None,
            f"skip shift {self.skip_shift} without a skip connection: it must be 0",
        )
        check(
            self.skip_shift == 0 or not self.has_wide_skip,
            f"skip multipliers of more than 16 bits beside a skip shift of {self.skip_shift}: one "
            "or the other",
        )

    @property
    def has_wide_skip(self) -> bool:
        """Return whether M_skip needs more than 16 bits, as format version 3 and older allowed."""
        if self.skip_multiplier is None:
            return False
        limits = np.iinfo(np.int16)
        least, most = int(self.skip_multiplier.min()), int(self.skip_multiplier.max())
        return least < limits.min or most > limits.max

    @property
    def skip_factors(self) -> list[int]:
        """``M_skip << E``, a channel each: what multiplies the skip connection."""
        if self.skip_multiplier is None:
            return []
        return [int(m) << self.skip_shift for m in self.skip_multiplier]

    @property
    def rounding(self) -> int:
        """The rounding term: 2^(S-1), or nothing where nothing is shifted out."""
        return 1 << (self.shift - 1) if self.shift else 0


def requantize(
    accumulator: np.ndarray, parameters: Requantize, skip: np.ndarray | None = None
) -> np.ndarray:
    """Turn accumulators into activations.

    Takes int64 accumulators (N, C, ...) and, where the parameters name a skip connection, its
    activations of the same shape. Returns the same shape in the format's dtype. The widths were
    checked when the network was built.
    """
    channels = (-1,) + (1,) * (accumulator.ndim - 2)
    total = accumulator * parameters.multiplier.astype(np.int64).reshape(channels)
    if parameters.skip_multiplier is not None:
        total += (skip * parameters.skip_multiplier.reshape(channels)) << parameters.skip_shift
    if parameters.offset is not None:
        total += parameters.offset.reshape(channels)
    total += parameters.rounding
    total >>= parameters.shift
    target = parameters.format
    return np.clip(total, target.lo, target.hi, out=total).astype(target.dtype)


def multiplier_and_shift(real: np.ndarray) -> tuple[np.ndarray, int]:
    """Express a layer's real multipliers as 16-bit integers over a common power of two.

    Takes (channels,) floats and returns M, int16 (channels,), and S such that M / 2^S is as close
    to them as possible: the largest |M| uses all 16 bits.

    Raises
    ------
    NetworkError
        A multiplier is not finite, or the largest needs a shift outside 0 to ``MAXIMUM_SHIFT``.

    """
    real = np.asarray(real, dtype=np.float64)
    check(bool(np.isfinite(real).all()), f"multipliers {real}: they must be finite")
    largest = float(np.abs(real).max())
    if largest == 0:
        return np.zeros(real.shape, dtype=np.int16), 0
    limit = np.iinfo(np.int16).max
    shift = limit.bit_length() - math.frexp(largest)[1]
    if round(math.ldexp(largest, shift)) > limit:
        shift -= 1
    check(
        0 <= shift <= MAXIMUM_SHIFT,
        f"a largest multiplier of {largest:g} needs a shift of {shift}: it must be 0 to "
        f"{MAXIMUM_SHIFT}, so check the scales of the layer's input, weights and output",
    )
    return np.rint(np.ldexp(real, shift)).astype(np.int16), shift


def skip_multiplier_and_shift(real: np.ndarray, shift: int) -> tuple[np.ndarray, int]:
    """Express real multipliers of a skip connection beside multipliers over ``2**shift``.

    Takes (channels,) floats and returns M_skip, int64 (channels,) within 16 bits, and E such that
    ``(M_skip << E) / 2^shift`` is as close to them as possible.

    Raises
    ------
    NetworkError
        A multiplier is not finite, or the largest needs an E beyond ``MAXIMUM_SHIFT``.

    """
    real = np.asarray(real, dtype=np.float64)
    check(bool(np.isfinite(real).all()), f"skip multipliers {real}: they must be finite")
    limit = np.iinfo(np.int16).max
    largest = float(np.abs(real).max())
    skip_shift = max(0, shift + math.frexp(largest)[1] - limit.bit_length()) if largest else 0
    if round(math.ldexp(largest, shift - skip_shift)) > limit:
        skip_shift += 1
    check(
        skip_shift <= MAXIMUM_SHIFT,
        f"a largest skip multiplier of {largest:g} needs a skip shift of {skip_shift}: it must be "
        f"0 to {MAXIMUM_SHIFT}, so check the scales of the skip connection and the output",
    )
    return np.rint(np.ldexp(real, shift - skip_shift)).astype(np.int64), skip_shift
