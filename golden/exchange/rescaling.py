"""From the real numbers behind a layer to an integer multiplier, offset and shift.

A quantizer of scale s behind ``factor * acc + offset`` gives ``round(acc * m + o)`` with ``m =
factor / s`` and ``o = offset / s + zero``. In the network that is ``(acc*M + offset + 2^(S-1)) >>
S``, M of 16 bits. Where ``m * 2^S`` is no integer, M differs from it, and what comes of that is
bounded and told.
"""

import dataclasses
import math

import numpy as np

from adq.golden.exchange.opening import ExchangeError
from adq.golden.exchange.values import IntegerForm, Pending
from adq.golden.formats import ActivationFormat, NetworkError
from adq.golden.requantize import Requantize, multiplier_and_shift

_EXACT = 1e-9
"""Error, in steps, below which no rounding changes: 16-bit factors of float32 scales."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rounding:
    """Largest difference of a node's activations from real arithmetic with the file's numbers."""

    node: str
    exact: bool
    """True if its multipliers and offsets are those of the file, not rounded."""
    error: float
    """Largest error before rounding that follows from them, in steps of its output."""
    halves_up: bool
    """True if halves, which the file rounds to even, can occur and are rounded up."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class IntegerBias:
    """Bias of a layer in its accumulators' units, its zero point folded into it."""

    whole: np.ndarray
    """int64 (C,)."""
    remainder: np.ndarray
    """float64 (C,): real number that rounding it left."""


def integer_bias(value: Pending) -> IntegerBias | None:
    """Return a layer's bias in integers; None for what is no layer."""
    if not value.is_layer:
        return None
    real = np.zeros(len(value.unit)) if value.bias is None else value.bias
    steps = real / value.unit
    if not (np.isfinite(steps).all() and np.abs(steps).max() < 2.0**61):
        raise ExchangeError(f"{value.name}: its bias is beyond 61 bits beside its scales")
    whole = np.rint(steps).astype(np.int64)
    # Scales are float32: a bias of integers comes out of the division a little beside them.
    near = np.minimum(1e-3 + 1e-6 * np.abs(steps), 0.25)
    remainder = np.where(np.abs(steps - whole) < near, 0.0, real - whole * value.unit)
    return IntegerBias(whole=whole + value.zeros, remainder=remainder)


def requantization(
    value: Pending,
    form: IntegerForm,
    rounding: str,
    *,
    name: str,
    bias: IntegerBias | None,
    skip: ActivationFormat | None,
) -> tuple[Requantize, Rounding]:
    """Return the requantization that a quantizer asks for, and how close it is.

    ``skip`` is the format of the skip connection, if the value has one.

    Raises
    ------
    ExchangeError
        Scales are so far apart that no shift suits them.

    """
    scale = form.format.scale
    ratios = value.factor / scale
    skip_ratio = 0.0 if value.skip is None else value.skip.scale / scale
    try:
        both, shift = multiplier_and_shift(np.append(ratios, skip_ratio))
    except NetworkError as error:
        raise ExchangeError(f"{name}: {error}") from None
    multiplier, skip_multiplier = both[:-1].astype(np.int64), int(both[-1])
    one = math.ldexp(1.0, shift)
    real = value.offset.copy()
    if bias is not None:
        real += bias.remainder * value.factor / value.unit
    wanted = (form.zero + real / scale) * one + value.shift * multiplier
    if bias is not None:
        # Against M as it is rounded, so that a coarse M does not move what the bias adds.
        wanted += bias.whole * (ratios * one - multiplier)
    if value.skip is not None:
        wanted -= value.skip.zero * skip_multiplier
    if not (np.isfinite(wanted).all() and np.abs(wanted).max() < 2.0**61):
        raise ExchangeError(f"{name}: its offsets are beyond 61 bits beside its factors")
    offset = np.rint(wanted).astype(np.int64)
    errors = (value.bound + abs(value.shift)) * np.abs(ratios - multiplier / one)
    errors += np.abs(wanted - offset) / one
    if value.skip is not None and skip is not None:
        reach = skip.magnitude + abs(value.skip.zero)
        errors += reach * abs(skip_ratio - skip_multiplier / one)
    if shift and rounding != "nearest":
        offset += (1 << (shift - 1)) * (-1 if rounding == "floor" else 1) - (rounding == "ceil")
    requantize = Requantize(
        multiplier=multiplier,
        shift=shift,
        format=form.format,
        skip=None if value.skip is None else value.skip.tensor,
        skip_multiplier=(None if value.skip is None else np.full(len(multiplier), skip_multiplier)),
        offset=offset if offset.any() else None,
    )
    largest = float(errors.max())
    exact = largest < _EXACT
    halves = rounding == "nearest" and _meets_halves(requantize)
    return requantize, Rounding(
        node=name,
        exact=exact,
        error=0.0 if exact else largest,
        halves_up=exact and halves,
    )


def _meets_halves(requantize: Requantize) -> bool:
    """Return whether some integers stand before a half: a multiple of all factors, plus the
    offset.
    """
    if not requantize.shift:
        return False
    offsets = requantize.offset
    offsets = np.zeros(len(requantize.multiplier), np.int64) if offsets is None else offsets
    for multiplier, offset in zip(requantize.multiplier, offsets, strict=True):
        step = math.gcd(int(multiplier), 1 << requantize.shift)
        if requantize.skip_multiplier is not None:
            step = math.gcd(step, int(requantize.skip_multiplier[0]))
        if ((1 << (requantize.shift - 1)) - int(offset)) % step == 0:
            return True
    return False
