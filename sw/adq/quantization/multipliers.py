"""Multipliers of a requantization as integers have them: M / 2^S, with 16 bits for M.

They are coarse: that of a channel whose gamma is small beside others' has few significant bits.
Training computes with them as rounded, and their gradient does not see it.
"""

from typing import NamedTuple

import torch

from adq.golden.requantize import MAXIMUM_SHIFT
from adq.quantization.quantizers import Activation

_MOST = 2**15 - 1
"""Largest |M|."""


class Multipliers(NamedTuple):
    """Multipliers over one power of two."""

    values: torch.Tensor
    """M / 2^S: float64 (C,) or ()."""
    shift: torch.Tensor
    """S: integer ()."""


@torch.no_grad()
def on_multiplier_grid(real: torch.Tensor) -> Multipliers:
    """Express real multipliers, float64 (C,) or (), as ``adq.golden.requantize`` does.

    The largest |M| uses all of 16 bits. Where even S = 0 leaves multipliers too large, as a layer
    of few inputs at 2 bits before one at 16 bits can, they saturate: the network trains with what
    the hardware has.
    """
    shift = _finest_shift(real.abs().amax()).clamp(0, MAXIMUM_SHIFT)
    values = torch.ldexp(torch.ldexp(real, shift).round().clamp(-_MOST, _MOST), -shift)
    return Multipliers(values, shift)


def straight_through(x: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Give ``value`` with the gradient of ``x``."""
    return x + (value.to(x.dtype) - x).detach()


def ratio(
    x: Activation, unit: torch.Tensor | None, *, count: int = 1
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the factor of an activation's integers, shape (), over ``count``, and its shift S.

    A ``unit`` of None stands for 1 in real numbers, without S and without rounding.
    """
    if unit is None:
        return x.scale, None
    exact = x.scale / unit
    rounded = on_multiplier_grid(exact.detach().double() / count)
    return straight_through(exact, rounded.values * count), rounded.shift


def skip_ratio(
    x: Activation, unit: torch.Tensor | None, shift: torch.Tensor | None
) -> torch.Tensor:
    """Return the factor of a skip connection's integers, shape (), for the shift S of the sum.

    It is ``(M_skip << E) / 2^S`` with 16 bits for M_skip, as
    ``adq.golden.requantize.skip_multiplier_and_shift`` gives it.
    """
    if unit is None:
        return x.scale
    exact = x.scale / unit
    real = exact.detach().double()
    places = _finest_shift(real.abs())
    if shift is not None:
        places = torch.minimum(places, shift)  # S - E, which may be negative
    rounded = torch.ldexp(torch.ldexp(real, places).round(), -places)
    return straight_through(exact, rounded)


def _finest_shift(largest: torch.Tensor) -> torch.Tensor:
    """Return the S with which the largest |M| uses all of 16 bits: integer ()."""
    shift = 15 - torch.frexp(largest).exponent
    return shift - (torch.ldexp(largest, shift).round() > _MOST).int()
