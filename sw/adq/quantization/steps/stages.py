"""Stages: what becomes one node of the integer network, and how it computes while it trains.

A stage accumulates, may add a skip connection, may apply a ReLU, and quantizes once:

    y = clamp(floor((accumulated + skip) / s_y + 1/2))

Everything before the quantizer is computed as multiples of the output's scale s_y, so that the
quantizer only clamps and rounds. A maximum pooling behind it is done before rounding, with which
it commutes: among activations that round to the same integer the largest keeps the gradient.

Notation used for tensor shapes: N images, C channels, H rows, W columns.
"""

from collections.abc import Callable, Mapping

import torch
from torch import nn
from torch.nn import functional

from adq.quantization.multipliers import (
    on_multiplier_grid,
    ratio,
    skip_ratio,
    straight_through,
)
from adq.quantization.quantizers import LEAST_ACTIVE, Activation, ActivationQuantizer
from adq.quantization.reading.operations import AveragePool, MaxPool
from adq.quantization.steps.batch_norm import affine, folded, normalized, statistics
from adq.quantization.steps.remembering import remembering
from adq.quantization.steps.step import Reading, Step, max_pool

Accumulated = tuple[torch.Tensor, torch.Tensor | None]
"""A stage's sum, and the shift S of the multipliers in it; None while it looks for a range."""


class Stage(Step):
    """A step that quantizes its output.

    Attributes
    ----------
    relu
        Whether the output is rectified.
    limit
        Where the output is clipped above, if it is.
    pool
        The maximum pooling behind it, if any.
    quantizer
        Of the output.
    nonzero, elements
        Activations counted since the last epoch, where the stage has a ReLU: a count on the
        network's device, and how many there were.

    """

    def __init__(self, name: str, inputs: tuple[str, ...]):
        super().__init__(name, inputs)
        self.relu = False
        self.limit: float | None = None
        self.pool: MaxPool | None = None
        self.quantizer: ActivationQuantizer
        self.nonzero: torch.Tensor | int = 0
        self.elements = 0

    joins = True
    """True if it can add a skip connection to what it computes."""

    def rectify(self, limit: float | None) -> None:
        """Apply a ReLU, clipped at a limit if there is one, to the output."""
        self.relu = True
        if limit is not None:
            self.limit = limit if self.limit is None else min(limit, self.limit)

    def join(self, tensor: str) -> None:
        """Add a tensor to what it computes."""
        self.skip = Reading(tensor)
        self.readings.append(self.skip)

    def run(self, values: Mapping[str, Activation]) -> Activation:
        """Map (N, C, H, W) or (N, C), to the same or to what the stage's layer makes of it."""
        unit = self.quantizer.unit
        x, shift = self.combine([reading(values) for reading in self.operands], unit)
        if self.skip is not None:
            skip = self.skip(values)
            with remembering(skip):
                x = torch.addcmul(x, skip.integers, skip_ratio(skip, unit, shift))
        if self.relu and self.quantizer.training:
            least = 0.0 if unit is None else LEAST_ACTIVE * self.quantizer.largest
            self.nonzero = self.nonzero + torch.count_nonzero(x.detach() > least)
            self.elements += x.numel()
        if self.pool is not None:
            x = max_pool(x, self.pool)
        result: Activation = self.quantizer(x, unit)
        return result

    @property
    def operands(self) -> list[Reading]:
        """Return its readings, but for the skip connection."""
        return [reading for reading in self.readings if reading is not self.skip]

    def combine(self, operands: list[Activation], unit: torch.Tensor | None) -> Accumulated:
        """Compute the stage's sum as multiples of ``unit``, or of 1 where that is None."""
        (x,) = operands
        return self.accumulate(x, unit)

    def accumulate(self, x: Activation, unit: torch.Tensor | None) -> Accumulated:
        """Compute the sum of a stage of one operand, as ``combine`` does."""
        raise NotImplementedError


class InputStage(Stage):
    """The quantizer of the images."""

    def __init__(self, name: str, shape: tuple[int, ...]):
        super().__init__(name, ())
        self.shape = shape
        """Shape of an image: (C, H, W), or (F,)."""

    def gives(self, wanted: int) -> int:
        return self.quantizer.at_most(wanted)

    def gives_signed(self, reads_signed: bool) -> bool:
        return True

    def quantize(self, images: torch.Tensor) -> Activation:
        """Map (N, C, H, W), (N, C, L) or (N, F) in real numbers to (N, C, H, W) or (N, F)."""
        images = images.reshape(-1, *self.shape)
        unit = self.quantizer.unit
        result: Activation = self.quantizer(images if unit is None else images / unit, unit)
        return result


class RescaleStage(Stage):
    """An activation in another format: an addition or a ReLU that no layer ends in."""

    joins = False

    def __init__(self, name: str, inputs: tuple[str, ...]):
        super().__init__(name, inputs[:1])
        for tensor in inputs[1:]:
            self.join(tensor)

    def accumulate(self, x: Activation, unit: torch.Tensor | None) -> Accumulated:
        factor, shift = ratio(x, unit)
        with remembering(x):
            return x.integers * factor, shift


class AffineStage(Stage):
    """A batch norm that no layer ends in: a factor and an offset a channel."""

    def __init__(self, name: str, inputs: tuple[str, ...], norm: nn.BatchNorm1d | nn.BatchNorm2d):
        super().__init__(name, inputs)
        self.norm = norm

    def gives_signed(self, reads_signed: bool) -> bool:
        return True

    def fold(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return factor and offset in evaluation: float64 (C,) both."""
        return folded(self.norm)

    def accumulate(self, x: Activation, unit: torch.Tensor | None) -> Accumulated:
        gamma, beta = affine(self.norm)
        shift = None
        with remembering(x):
            real = x.integers * x.scale
        if unit is not None:
            # Gamma and beta as M / 2^S and an offset over 2^S have them.
            factor, offset = self.fold()
            multipliers = on_multiplier_grid(factor * x.scale.double() / unit.double())
            shift = multipliers.shift
            grid = torch.ldexp(torch.ldexp(offset / unit.double(), shift).round(), -shift)
            mean, deviation = statistics(self.norm)
            exact = multipliers.values / x.scale.double() * deviation
            shifted = grid + multipliers.values / x.scale.double() * mean
            gamma = straight_through(gamma / unit, exact)
            beta = straight_through(beta / unit, shifted)
        return normalized(self.norm, real, gamma, beta), shift


class TableStage(Stage):
    """A function of single elements, by a table over all integers that it can read."""

    joins = False
    most_bits = 12
    """Widest tensor that a table is made for: 4,096 entries."""
    least_bits = 8
    """A table reads no fewer, however few its own output has."""

    def __init__(
        self,
        name: str,
        inputs: tuple[str, ...],
        function: Callable[[torch.Tensor], torch.Tensor],
    ):
        super().__init__(name, inputs)
        self.function = function

    def wants(self, own: int) -> int:
        return min(max(own, self.least_bits), self.most_bits)

    def gives_signed(self, reads_signed: bool) -> bool:
        reach = torch.cat([torch.linspace(-16, 16, 4097), torch.tensor([-1e6, 1e6])])
        if not reads_signed:
            reach = reach[reach >= 0]
        return bool((self.function(reach) < 0).any())

    def accumulate(self, x: Activation, unit: torch.Tensor | None) -> Accumulated:
        y = self.function(x.integers * x.scale)
        return (y if unit is None else y / unit), None


class ProductStage(Stage):
    """The product of two tensors; the second may be a factor a channel, (N, C, 1, 1)."""

    def combine(self, operands: list[Activation], unit: torch.Tensor | None) -> Accumulated:
        one, other = operands
        products = one._replace(
            integers=one.integers * other.integers, scale=one.scale * other.scale, dtype=None
        )
        factor, shift = ratio(products, unit)
        return products.integers * factor, shift


class ConcatStage(Stage):
    """Tensors one after another along their channels, all in one format."""

    joins = False
    keeps_channels = False

    def combine(self, operands: list[Activation], unit: torch.Tensor | None) -> Accumulated:
        return torch.cat([x.integers * ratio(x, unit)[0] for x in operands], 1), None


class AverageStage(Stage):
    """Average pooling."""

    def __init__(self, name: str, inputs: tuple[str, ...], pool: AveragePool):
        super().__init__(name, inputs)
        self.average = pool

    def accumulate(self, x: Activation, unit: torch.Tensor | None) -> Accumulated:
        mean = functional.avg_pool2d(
            x.integers,
            self.average.kernel,
            self.average.stride,
            divisor_override=self.average.divisor,
        )
        factor, shift = ratio(x, unit, count=self.average.divisor)
        return mean * factor, shift
