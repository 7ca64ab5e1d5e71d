"""Stages: what becomes one node of the integer network, and how it computes while it trains.

A stage accumulates, may add a skip connection, may apply a ReLU, and quantizes once:

    y = clamp(floor((accumulated + skip) / s_y + 1/2))

Everything before the quantizer is computed as multiples of the output's scale s_y, so that the
quantizer only clamps and rounds. A maximum pooling behind it is done before rounding, with which
it commutes: among activations that round to the same integer the largest keeps the gradient.

Notation used for tensor shapes: N images, C channels, H rows, W columns.
"""

import math
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from adq.quantization.multipliers import ratio, skip_ratio
from adq.quantization.operations import AveragePool, MaxPool
from adq.quantization.quantizers import LEAST_ACTIVE, Activation, ActivationQuantizer
from adq.quantization.remembering import remembering

Accumulated = tuple[torch.Tensor, torch.Tensor | None]
"""A stage's sum, and the shift S of the multipliers in it; None while it looks for a range."""


class Reading:
    """A stage's access to a tensor, at a precision of its own where it is narrower.

    A tensor is quantized once for its widest reader; a narrower reader quantizes that again.
    """

    def __init__(self, tensor: str):
        self.tensor = tensor
        self.quantizer: ActivationQuantizer | None = None
        """Where the tensor has several readers."""
        self.narrower = False
        """Whether the reader needs fewer bits than the tensor has."""

    def __call__(self, values: Mapping[str, Activation]) -> Activation:
        """Return the tensor as the reader wants it."""
        activation = values[self.tensor]
        if not self.narrower:
            return activation
        unit = self.quantizer.unit
        with remembering(activation):
            x = activation.integers * ratio(activation, unit)[0]
        return self.quantizer(x, unit)


class Step:
    """What a network runs: it reads tensors and gives the tensor of its name."""

    bits: int | None = None
    """Precision k of its operands; None where it follows its own readers."""

    def __init__(self, name: str, inputs: tuple[str, ...]):
        self.name = name
        self.readings = [Reading(tensor) for tensor in inputs]

    @property
    def input(self) -> Reading:
        """The tensor that it computes with."""
        return self.readings[0]

    def run(self, values: Mapping[str, Activation]) -> Activation:
        """Compute the tensor."""
        raise NotImplementedError


class Passive(Step):
    """What leaves the format of its tensor as it is."""


class Flattening(Passive):
    """(N, C, H, W) to (N, C*H*W)."""

    def run(self, values: Mapping[str, Activation]) -> Activation:
        x = self.input(values)
        return x._replace(integers=x.integers.flatten(1))


class Dropping(Passive):
    """Dropout, while it trains."""

    def __init__(self, name: str, inputs: tuple[str, ...], module: nn.Module):
        super().__init__(name, inputs)
        self.module = module

    def run(self, values: Mapping[str, Activation]) -> Activation:
        integers, scale, _ = self.input(values)
        return Activation(self.module(integers), scale)


class Pooling(Passive):
    """Maximum pooling of a tensor that has other readers, too."""

    def __init__(self, name: str, inputs: tuple[str, ...], pool: MaxPool):
        super().__init__(name, inputs)
        self.pool = pool

    def run(self, values: Mapping[str, Activation]) -> Activation:
        x = self.input(values)
        return x._replace(integers=_max_pool(x.integers, self.pool))


class Stage(Step):
    """A step that quantizes its output.

    Attributes
    ----------
    relu
        Whether the output is rectified.
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
        self.pool: MaxPool | None = None
        self.quantizer: ActivationQuantizer
        self.nonzero: torch.Tensor | int = 0
        self.elements = 0

    @property
    def skip(self) -> Reading | None:
        """The tensor that it adds to what it accumulates."""
        return self.readings[1] if len(self.readings) > 1 else None

    def run(self, values: Mapping[str, Activation]) -> Activation:
        """(N, C, H, W) or (N, C), to the same or to what the stage's layer makes of it."""
        unit = self.quantizer.unit
        x, shift = self.accumulate(self.input(values), unit)
        if self.skip is not None:
            skip = self.skip(values)
            with remembering(skip):
                x = torch.addcmul(x, skip.integers, skip_ratio(skip, unit, shift))
        if self.relu and self.quantizer.training:
            least = 0.0 if unit is None else LEAST_ACTIVE * self.quantizer.largest
            self.nonzero = self.nonzero + torch.count_nonzero(x.detach() > least)
            self.elements += x.numel()
        if self.pool is not None:
            x = _max_pool(x, self.pool)
        return self.quantizer(x, unit)

    def accumulate(self, x: Activation, unit: torch.Tensor | None) -> Accumulated:
        """Compute the stage's sum as multiples of ``unit``, or of 1 where that is None."""
        raise NotImplementedError


class InputStage(Stage):
    """The quantizer of the images."""

    def quantize(self, images: torch.Tensor) -> Activation:
        """(N, C, H, W) in real numbers to the same shape."""
        unit = self.quantizer.unit
        return self.quantizer(images if unit is None else images / unit, unit)


class RescaleStage(Stage):
    """An activation in another format: an addition or a ReLU that no layer ends in."""

    def accumulate(self, x: Activation, unit: torch.Tensor | None) -> Accumulated:
        factor, shift = ratio(x, unit)
        with remembering(x):
            return x.integers * factor, shift


class AverageStage(Stage):
    """Average pooling."""

    def __init__(self, name: str, inputs: tuple[str, ...], pool: AveragePool):
        super().__init__(name, inputs)
        self.average = pool

    def accumulate(self, x: Activation, unit: torch.Tensor | None) -> Accumulated:
        mean = functional.avg_pool2d(x.integers, self.average.kernel, self.average.stride)
        factor, shift = ratio(x, unit, count=math.prod(self.average.kernel))
        return mean * factor, shift


def _max_pool(x: torch.Tensor, pool: MaxPool) -> torch.Tensor:
    return functional.max_pool2d(x, pool.kernel, pool.stride, pool.padding)
