"""Quantizers for training, on exactly the grid that leaves it.

An activation is an unsigned integer of k bits (signed after no ReLU) times one scale a tensor; a
weight is a signed integer of k bits times one scale an output channel. Zero stands for 0.0.
Rounding is half up, floor(x + 1/2), as a requantization rounds. The gradient is that of a
straight-through estimator (Bengio, Leonard and Courville 2013): rounding counts as the identity,
and what lies outside the range has no gradient.

Activations stay integers between layers, held as floats. Their scale moves into small tensors:
what comes before, a batch norm's factor or a weight, divides by it, and the next layer's weights
multiply by it. A learned scale then finds its whole gradient there, that of Esser et al. ("Learned
step size quantization", ICLR 2020), and no activation needs a pass or a byte for it.

Ranges. The paper takes minimum and maximum, but at 2 and 3 bits most of such a grid lies where
hardly any value is. Both quantizers therefore limit their range to 2 mean|x| sqrt(q), q being the
largest integer: the step size from which Esser et al. start, which exceeds the maximum at high
precision. Weights follow it continuously. An activation's range starts there and is then learned
by its gradient; learning the range rather than the step keeps it of order 1 at every precision,
which is what Adam's steps suit. It is the default for what it does on the digits network, whose
middle layers end at 2 bits: 0.4 points of accuracy less than at 16 bits in the mean of ten seeds,
0.9 at most, against 0.9 in the mean with a running maximum of the activations. The images' own
range is always a running maximum.

Everything is computed in float32, where integers of 16 bits and their half steps are exact.
"""

import contextlib
import math
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import nn

_SMALLEST_RANGE = 1e-6
"""Ranges stay above it, so that a tensor of zeros has a scale to divide by."""


LEAST_ACTIVE = 2.0**-20
"""Below this share of its range a ReLU's output counts as 0: at few bits many sums are 0 in
integers, and float32 leaves something of them."""


class Activation(NamedTuple):
    """A tensor between layers: real values are ``integers * scale``."""

    integers: torch.Tensor
    """Integers, held as floats, in any shape."""
    scale: torch.Tensor
    """Real value of an integer 1: (); a network's logits have it as (O,) or (O, 1, 1)."""
    dtype: torch.dtype | None = None
    """A smaller type that holds the integers exactly, if there is one."""


class _Context(Protocol):
    """Context that PyTorch hands to the two halves of an operator."""

    needs_input_grad: tuple[bool, ...]
    saved_tensors: tuple[torch.Tensor, ...]
    largest: int

    def save_for_backward(self, *tensors: torch.Tensor) -> None: ...

    def mark_dirty(self, *tensors: torch.Tensor) -> None: ...


def _applied(function: type[torch.autograd.Function], *arguments: object) -> torch.Tensor:
    result: torch.Tensor = function.apply(*arguments)
    return result


class _RoundHalfUp(torch.autograd.Function):
    """floor(x + 1/2) with the gradient of the identity."""

    @staticmethod
    def forward(ctx: _Context, x: torch.Tensor) -> torch.Tensor:
        return torch.floor(x + 0.5)

    @staticmethod
    def backward(ctx: _Context, gradient: torch.Tensor) -> torch.Tensor:
        return gradient


def round_half_up(x: torch.Tensor) -> torch.Tensor:
    """Round to the nearest integer, halves upwards, with a straight-through gradient."""
    return _applied(_RoundHalfUp, x)


class _ToIntegers(torch.autograd.Function):
    """Clamp and round in place; what is kept for the gradient is a byte an element."""

    @staticmethod
    def forward(
        ctx: _Context, steps: torch.Tensor, smallest: int, largest: int, rectifies: bool
    ) -> torch.Tensor:
        if ctx.needs_input_grad[0]:
            # Where there is no ReLU, a zero is an activation like others and has its gradient.
            least = LEAST_ACTIVE * largest
            inside = steps > least if rectifies else steps >= smallest
            inside &= steps <= largest
            ctx.save_for_backward(inside)
        ctx.mark_dirty(steps)
        return steps.clamp_(smallest, largest).add_(0.5).floor_()

    @staticmethod
    def backward(ctx: _Context, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        (inside,) = ctx.saved_tensors
        return gradient * inside, None, None, None


class _QuantizedWeights(torch.autograd.Function):
    """Integers of weights times a factor a channel; integers are found again for the gradient."""

    @staticmethod
    def forward(
        ctx: _Context, weight: torch.Tensor, scale: torch.Tensor, factor: torch.Tensor, largest: int
    ) -> torch.Tensor:
        ctx.save_for_backward(weight, scale, factor)
        ctx.largest = largest
        return _rounded(weight, scale).clamp_(-largest, largest).mul_(factor)

    @staticmethod
    def backward(
        ctx: _Context, gradient: torch.Tensor
    ) -> tuple[torch.Tensor, None, torch.Tensor | None, None]:
        weight, scale, factor = ctx.saved_tensors
        integers = _rounded(weight, scale)
        # Rounded first: the largest weight keeps its gradient where its quotient is 127.00001.
        inside = integers.abs() <= ctx.largest
        by_factor = None
        if ctx.needs_input_grad[2]:
            product = integers.clamp_(-ctx.largest, ctx.largest).mul_(gradient)
            by_factor = product.sum_to_size(factor.shape)
        # The scale is the real value of an integer 1, by which the integers were divided.
        return (gradient * inside).mul_(factor / scale), None, by_factor, None


def _rounded(weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return (weight / scale).add_(0.5).floor_()


class WeightQuantizer:
    """Signed, symmetric quantizer of weights (O, ...), without state.

    Parameters
    ----------
    bits
        Precision k; integers reach from -(2^(k-1) - 1) to 2^(k-1) - 1.
    per_channel
        One scale an output channel, or one for all: logits are compared with each other and so
        share one.

    """

    def __init__(self, *, bits: int, per_channel: bool):
        self.bits = bits
        self.per_channel = per_channel
        self.real = False
        """True if weights stay real numbers, to hold a network against its own ``forward``."""

    @property
    def largest(self) -> int:
        """Largest integer of the grid."""
        return (1 << (self.bits - 1)) - 1

    @torch.no_grad()
    def scale(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the real value of an integer 1: (O,), also where all channels share it."""
        if self.real:
            return weight.new_ones(len(weight))
        rows = weight.flatten(1) if self.per_channel else weight.reshape(1, -1)
        magnitude = rows.abs()
        limit = torch.minimum(
            magnitude.amax(1), 2 * math.sqrt(self.largest) * magnitude.mean(1)
        ).clamp_min(_SMALLEST_RANGE)
        return (limit / self.largest).expand(len(weight))

    def integers(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the integers of the weights: (O, ...)."""
        scale = self.scale(weight)
        return self.scaled(weight, scale, torch.ones_like(scale))

    def scaled(
        self, weight: torch.Tensor, scale: torch.Tensor, factor: torch.Tensor
    ) -> torch.Tensor:
        """Return the integers of weights (O, ...) by a scale (O,), times a factor (O,): (O,
        ...).
        """
        shape = (-1,) + (1,) * (weight.dim() - 1)
        if self.real:
            return weight * factor.reshape(shape)
        return _applied(
            _QuantizedWeights, weight, scale.reshape(shape), factor.reshape(shape), self.largest
        )


class ActivationQuantizer(nn.Module):
    """Quantizer of one activation tensor with zero point 0.

    Parameters
    ----------
    bits
        Precision k; integers reach from 0 to 2^k - 1, or from -2^(k-1) to 2^(k-1) - 1 if signed.
    signed
        Two's complement, for the network's input and where no ReLU comes before.
    learned
        Whether the gradient learns the range; otherwise it is a running maximum of the batches
        (momentum 0.1).
    range_batches
        Batches from which a learned range starts. The first batch of a network that has learned
        nothing shows activations that may be 20 times smaller than those to come: without batch
        norm, and at learning rates such as 1e-2, a range that starts there clips what the network
        has to learn.
    rectifies
        Whether it is a ReLU as well: 0 then has no gradient.
    limit
        Where the ReLU is clipped, if it is: the range ends there at the latest.

    """

    momentum = 0.1

    def __init__(
        self,
        *,
        bits: int,
        signed: bool,
        learned: bool,
        rectifies: bool = False,
        limit: float | None = None,
        range_batches: int = 1,
    ):
        super().__init__()
        self.bits = bits
        self.signed = signed
        self.learned = learned
        self.range_batches = range_batches
        self.rectifies = rectifies
        self.limit = limit
        self.real = False
        """True if activations stay real numbers, to hold a network against its own ``forward``."""
        self.range = nn.Parameter(torch.ones(()), requires_grad=learned)
        """Real value of the largest integer."""
        self._batches = 0
        """Training batches that have shown the range at this precision."""

    @property
    def smallest(self) -> int:
        """Smallest integer of the grid."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def largest(self) -> int:
        """Largest integer of the grid."""
        return (1 << (self.bits - 1 if self.signed else self.bits)) - 1

    @property
    def dtype(self) -> torch.dtype | None:
        """Smallest integer type that holds the grid, if it is smaller than a float32."""
        if self.bits <= 8:
            return torch.int8 if self.signed else torch.uint8
        return torch.int16 if self.largest < 2**15 else None

    @property
    def scale(self) -> torch.Tensor:
        """Real value of an integer 1: ()."""
        # Below the smallest range the value is held, and the gradient is not: it can come back.
        held = (self.range - self.range.detach()) + _SMALLEST_RANGE
        range_ = torch.where(self.range > _SMALLEST_RANGE, self.range, held)
        return range_.clamp_max(math.inf if self.limit is None else self.limit) / self.largest

    @property
    def range_is_known(self) -> bool:
        """Return whether a training batch has shown the range at this precision."""
        return self._batches > 0

    @property
    def range_has_vanished(self) -> bool:
        """Return whether a learned range has fallen to nothing, and the tensor with it."""
        return self.learned and self.range_is_known and self.range.item() <= _SMALLEST_RANGE

    @property
    def unit(self) -> torch.Tensor | None:
        """Real value of 1 in what ``forward`` wants; None for 1, while it looks for a range."""
        observes = self.training and not (self.learned and self._batches >= self.range_batches)
        return None if observes or self.real else self.scale

    def at_most(self, bits: int) -> int:
        """Return the precision that it takes where ``bits`` are asked for."""
        return bits

    def change(self, bits: int, *, keep_range: bool = False) -> None:
        """Take another precision, and find the range anew from the next training batches."""
        if bits != self.bits:
            self.bits = bits
            self._batches = self._batches if keep_range else 0

    @contextlib.contextmanager
    def range_kept(self) -> Iterator[None]:
        """Put the range back at the end, whatever has been observed inside."""
        range_, batches = self.range.detach().clone(), self._batches
        try:
            yield
        finally:
            with torch.no_grad():
                self.range.copy_(range_)
            self._batches = batches

    def forget(self) -> None:
        """Return to the state in which no range has been found."""
        with torch.no_grad():
            self.range.fill_(1.0)
        self._batches = 0

    def forward(self, x: torch.Tensor, unit: torch.Tensor | None) -> Activation:
        """Quantize activations of any shape, in place, given as multiples of ``unit``."""
        if unit is None:
            self._observe(x.detach())
        if self.real:
            x = x if self.signed else x.clamp_min(0)
            return Activation(x if self.limit is None else x.clamp_max(self.limit), x.new_ones(()))
        if unit is None:
            unit = self.scale
            x = x / unit
        integers = _applied(_ToIntegers, x, self.smallest, self.largest, self.rectifies)
        return Activation(integers, unit, self.dtype)

    def get_extra_state(self) -> dict[str, bool | int]:
        """Return what a checkpoint needs besides the range."""
        known = {"range_is_known": self.range_is_known}
        return {"bits": self.bits, **known, "batches": self._batches}

    def set_extra_state(self, state: dict[str, bool | int]) -> None:
        """Take over what ``get_extra_state`` gave."""
        self.bits = state["bits"]
        # An older state does not say how many batches: then they were enough.
        enough = self.range_batches if state["range_is_known"] else 0
        self._batches = state.get("batches", enough)

    @torch.no_grad()
    def _observe(self, x: torch.Tensor) -> None:
        magnitude = x.abs() if self.signed else x.clamp(0, self.limit)
        limit = magnitude.amax().float()
        if self.learned:
            mean = magnitude.mean(dtype=torch.float32)
            limit = torch.minimum(limit, 2 * math.sqrt(self.largest) * mean)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(limit, torch.distributed.ReduceOp.MAX)
        self.range.lerp_(limit, self.momentum if self._batches else 1.0)
        # Beyond what decides anything it does not count: a state stays the same.
        self._batches = min(self._batches + 1, self.range_batches)


class LevelQuantizer(ActivationQuantizer):
    """Quantizer of images that are levels, given as shares of the largest level: from 0 to 1.

    At the precision that holds all levels the integers are the levels themselves, and nothing is
    rounded. Where readers ask for fewer bits, the largest integer stands for the largest level.
    Nothing is learned or observed.

    Parameters
    ----------
    levels
        The largest level.

    """

    def __init__(self, levels: int):
        super().__init__(bits=levels.bit_length(), signed=False, learned=False)
        self.levels = levels
        self._batches = self.range_batches
        self._set_range()

    @property
    def unit(self) -> torch.Tensor | None:
        return None if self.real else self.scale

    def at_most(self, bits: int) -> int:
        return min(bits, self.levels.bit_length())

    def change(self, bits: int, *, keep_range: bool = False) -> None:
        """Take another precision, which has a range of its own."""
        self.bits = bits
        self._set_range()

    def forget(self) -> None:
        """Keep the range, which follows from the levels."""

    def forward(self, x: torch.Tensor, unit: torch.Tensor | None) -> Activation:
        if self.real:
            return Activation(x, x.new_ones(()))
        return super().forward(x, unit)

    def set_extra_state(self, state: dict[str, bool | int]) -> None:
        super().set_extra_state(state)
        self._set_range()

    @torch.no_grad()
    def _set_range(self) -> None:
        whole = self.bits == self.levels.bit_length()
        self.range.fill_(self.largest / self.levels if whole else 1.0)
