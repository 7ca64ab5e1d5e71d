"""Steps of a network: what reads tensors and gives one, and those that leave formats as they are.

Notation used for tensor shapes: N images, C channels, H rows, W columns.
"""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from adq.quantization.multipliers import ratio
from adq.quantization.quantizers import Activation, ActivationQuantizer
from adq.quantization.reading.operations import Gather, MaxPool
from adq.quantization.steps.remembering import remembering


class Reading:
    """A stage's access to a tensor, at a precision of its own where it is narrower.

    A tensor is quantized once for its widest reader; a narrower reader quantizes that again.
    """

    def __init__(self, tensor: str):
        self.tensor = tensor
        self.own_quantizer: ActivationQuantizer | None = None
        """Where the tensor has several readers."""
        self.narrower = False
        """True if the reader needs fewer bits than the tensor has."""

    @property
    def quantizer(self) -> ActivationQuantizer:
        """The quantizer of a narrower reader."""
        if self.own_quantizer is None:
            raise AssertionError(f"{self.tensor}: a sole reader is never narrower")
        return self.own_quantizer

    def __call__(self, values: Mapping[str, Activation]) -> Activation:
        """Return the tensor as the reader wants it."""
        activation = values[self.tensor]
        if not self.narrower:
            return activation
        unit = self.quantizer.unit
        with remembering(activation):
            x = activation.integers * ratio(activation, unit)[0]
        result: Activation = self.quantizer(x, unit)
        return result


class Step:
    """Step of a network: it reads tensors and gives the tensor of its name."""

    bits: int | None = None
    """Precision k of its operands; None where it follows its own readers."""

    keeps_channels = True
    """True if its output's channels are those of its inputs, in order."""

    def __init__(self, name: str, inputs: tuple[str, ...]):
        self.name = name
        self.readings = [Reading(tensor) for tensor in inputs]
        self.skip: Reading | None = None
        """The tensor that it adds to what it computes, one of the readings."""

    def wants(self, own: int) -> int:
        """Return the precision at which it reads, given that at which its output is read."""
        return self.bits or own

    def gives(self, wanted: int) -> int:
        """Return the precision that its output has, given the largest that a reader wants."""
        return wanted

    def gives_signed(self, reads_signed: bool) -> bool:
        """Return whether its output has negative numbers, given whether any tensor that it reads
        has.
        """
        return reads_signed

    @property
    def input(self) -> Reading:
        """The tensor that it computes with."""
        return self.readings[0]

    def run(self, values: Mapping[str, Activation]) -> Activation:
        """Compute the tensor."""
        raise NotImplementedError


class Passive(Step):
    """Step that leaves the format of its tensor as it is."""


class Flattening(Passive):
    """(N, C, H, W) to (N, C*H*W)."""

    def run(self, values: Mapping[str, Activation]) -> Activation:
        x = self.input(values)
        return x._replace(integers=x.integers.flatten(1))


class Reshaping(Passive):
    """Gives the same elements in the same order, in another shape."""

    keeps_channels = False

    def __init__(self, name: str, inputs: tuple[str, ...], shape: tuple[int, ...]):
        super().__init__(name, inputs)
        self.shape = shape

    def run(self, values: Mapping[str, Activation]) -> Activation:
        x = self.input(values)
        return x._replace(integers=x.integers.reshape(-1, *self.shape))


class Gathering(Passive):
    """Elements of chosen channels, rows and columns, or zeros."""

    def __init__(self, name: str, inputs: tuple[str, ...], gather: Gather, channels: int):
        super().__init__(name, inputs)
        self.gather = gather
        self.keeps_channels = list(gather.channels) == list(range(channels))

    def run(self, values: Mapping[str, Activation]) -> Activation:
        x = self.input(values)
        integers = x.integers
        gather = self.gather
        sides = [gather.rows, gather.columns]
        if not self.keeps_channels:
            sides.insert(0, gather.channels)
        for axis, chosen in enumerate(sides, 4 - len(sides) if gather.rows else 1):
            if chosen is not None and list(chosen) != list(range(integers.shape[axis])):
                integers = _taken(integers, axis, chosen)
        return x._replace(integers=integers)


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
        return x._replace(integers=max_pool(x.integers, self.pool))


def max_pool(x: torch.Tensor, pool: MaxPool) -> torch.Tensor:
    """Return the maximum pooling of (N, C, H, W)."""
    return functional.max_pool2d(x, pool.kernel, pool.stride, pool.padding)


def _taken(x: torch.Tensor, axis: int, chosen: tuple[int, ...]) -> torch.Tensor:
    """Return positions along an axis, and zeros where a position is -1."""
    index = torch.tensor(chosen, device=x.device)
    taken = x.index_select(axis, index.clamp_min(0))
    there = (index >= 0).to(x.dtype)
    if not there.all():
        taken = taken * there.reshape(-1, *[1] * (x.dim() - axis - 1))
    return taken
