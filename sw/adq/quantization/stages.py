"""Stages: what becomes one node of the integer network, and how it computes while it trains.

A stage accumulates, may add a skip connection, may apply a ReLU, and quantizes once:

    y = clamp(floor((accumulated + skip) / s_y + 1/2))

Everything before the quantizer is computed as multiples of the output's scale s_y, so that the
quantizer only clamps and rounds. A maximum pooling behind it is done before rounding, with which
it commutes: among activations that round to the same integer the largest keeps the gradient.

The integer network multiplies by 16-bit integers over a power of two, and adds an offset in the
accumulator's scale, as an integer. Both are coarse: the multiplier of a channel whose gamma is
small beside others', the offset at few bits. Stages therefore compute with both as rounded, while
they train as in evaluation, so that a trained network and its integers differ by no more than
what float32 rounds.

Notation used for tensor shapes: N images, C channels, H rows, W columns, O outputs.
"""

import math
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from adq.quantization.multipliers import (
    Multipliers,
    on_multiplier_grid,
    ratio,
    skip_ratio,
    straight_through,
)
from adq.quantization.quantizers import (
    Activation,
    ActivationQuantizer,
    WeightQuantizer,
    round_half_up,
)
from adq.quantization.remembering import remembering
from adq.quantization.tracing import AveragePool, Layer, MaxPool

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
            self.nonzero = self.nonzero + torch.count_nonzero(x.detach() > 0)
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


class LayerStage(Stage):
    """A convolution or a linear layer, and a batch norm behind it if any.

    A layer's k covers its operands: the weights and the *input* activations.
    """

    def __init__(self, name: str, inputs: tuple[str, ...], operation: Layer, *, bits: int):
        super().__init__(name, inputs)
        self.module = operation.module
        self.norm: nn.BatchNorm1d | nn.BatchNorm2d | None = None
        self.positions = 1
        """Outputs of a channel for one image."""
        for side in operation.shape[1:]:
            self.positions *= side
        self.weight_quantizer = WeightQuantizer(bits=bits, per_channel=True)

    @property
    def bits(self) -> int:
        """Precision k of the weights and of the input."""
        return self.weight_quantizer.bits

    @bits.setter
    def bits(self, bits: int) -> None:
        self.weight_quantizer.bits = bits

    @property
    def channels(self) -> int:
        """Output channels."""
        return len(self.module.weight)

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image, padding included."""
        return self.module.weight.numel() * self.positions

    def fold(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Factor and offset that follow the products, in evaluation: float64 (O,) both."""
        bias = self.module.bias
        offset = torch.zeros(self.channels) if bias is None else bias
        offset = offset.detach().to(self.module.weight.device, torch.float64)
        if self.norm is None:
            return torch.ones_like(offset), offset
        factor, shift = _affine(self.norm)
        factor = factor.double() / (self.norm.running_var.double() + self.norm.eps).sqrt()
        return factor, shift.double() + factor * (offset - self.norm.running_mean.double())

    def accumulator_scale(self, input_scale: torch.Tensor) -> torch.Tensor:
        """Real value of an integer 1 in the accumulator: (O,)."""
        return input_scale * self.weight_quantizer.scale(self.module.weight)

    def accumulate(self, x: Activation, unit: torch.Tensor | None) -> Accumulated:
        """(N, I, H, W) to (N, O, OH, OW), or (N, I) to (N, O)."""
        scale = self.weight_quantizer.scale(self.module.weight)
        grid = x.scale * scale
        factor, bias, shift = grid, self.module.bias, None
        if unit is not None:
            (multipliers, shift), offset = self._requantization(grid, unit)
            if self.norm is None:
                factor = straight_through(grid / unit, multipliers)
                bias = None if bias is None else straight_through(bias / unit, offset)
        products = self._products(x, scale, factor, bias)
        if self.norm is None:
            return products, shift
        gamma, beta = _affine(self.norm)
        if unit is not None:
            exact = self._exact_affine(multipliers / grid.double(), offset)
            gamma = straight_through(gamma / unit, exact[0])
            beta = straight_through(beta / unit, exact[1])
        return self._normalized(products, gamma, beta), shift

    @torch.no_grad()
    def _requantization(
        self, grid: torch.Tensor, unit: torch.Tensor
    ) -> tuple[Multipliers, torch.Tensor]:
        """What follows the accumulator as integers have it.

        Multipliers M / 2^S, and offsets that are multiples of them: float64 (O,) both.
        """
        factor, offset = self.fold()
        multipliers = on_multiplier_grid(factor * grid.double() / unit.double())
        offset = offset / unit.double()
        # A channel whose M is 0 has no grid: its output is the offset itself.
        none = multipliers.values == 0
        safe = torch.where(none, 1.0, multipliers.values)
        rounded = torch.floor(offset / safe + 0.5) * safe
        return multipliers, torch.where(none, offset, rounded)

    @torch.no_grad()
    def _exact_affine(
        self, factor: torch.Tensor, offset: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Gamma and beta that fold into a factor and an offset by the running statistics: (O,)."""
        norm, bias = self.norm, self.module.bias
        mean = norm.running_mean - (0.0 if bias is None else bias)
        gamma = factor * (norm.running_var.double() + norm.eps).sqrt()
        return gamma, offset + factor * mean.double()

    def _products(self, x: Activation, scale, factor, bias) -> torch.Tensor:
        """Sums of products of integers, times a factor a channel, plus a bias."""
        module = self.module
        weight = self.weight_quantizer.scaled(module.weight, scale, factor)

        def again() -> torch.Tensor:
            with torch.no_grad():
                return self.weight_quantizer.scaled(module.weight, scale, factor)

        with remembering(x, weight, again):
            if isinstance(module, nn.Linear):
                return functional.linear(x.integers, weight, bias)
            return functional.conv2d(
                x.integers, weight, bias, module.stride, module.padding, groups=module.groups
            )

    def _normalized(self, x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
        """Batch norm, as the norm's own module would do it."""
        norm = self.norm
        momentum = norm.momentum
        if norm.training:
            norm.num_batches_tracked.add_(1)
            if momentum is None:
                momentum = 1 / norm.num_batches_tracked.item()
        return functional.batch_norm(
            x, norm.running_mean, norm.running_var, gamma, beta, norm.training,
            momentum or 0.0, norm.eps,
        )  # fmt: skip


class LogitsStage(LayerStage):
    """The linear layer that gives the logits: all of its outputs share one scale.

    It adds up integers and scales their sum: at few bits logits are often equal, and then they
    must be equal here too, for the same class to be the first of the largest.
    """

    def __init__(self, name: str, inputs: tuple[str, ...], operation: Layer, *, bits: int):
        super().__init__(name, inputs, operation, bits=bits)
        self.weight_quantizer.per_channel = False

    def run(self, values: Mapping[str, Activation]) -> torch.Tensor:
        """(N, I) to (N, O), in real numbers."""
        x = self.input(values)
        scale = self.weight_quantizer.scale(self.module.weight)
        grid = x.scale * scale  # (O,), all equal
        bias = self.module.bias
        bias = None if bias is None else round_half_up(bias / grid)
        return self._products(x, scale, torch.ones_like(scale), bias) * grid


def _max_pool(x: torch.Tensor, pool: MaxPool) -> torch.Tensor:
    return functional.max_pool2d(x, pool.kernel, pool.stride, pool.padding)


def _affine(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Gamma and beta: (C,) both."""
    if norm.affine:
        return norm.weight, norm.bias
    return torch.ones_like(norm.running_var), torch.zeros_like(norm.running_mean)
