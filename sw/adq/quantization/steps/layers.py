"""Convolutions and linear layers, with what the integer network makes part of them.

The integer network multiplies by 16-bit integers over a power of two, and adds an offset in the
accumulator's scale, as an integer. Both are coarse: the multiplier of a channel whose gamma is
small beside others', the offset at few bits. Layers therefore compute with both as rounded, while
they train as in evaluation, so that a trained network and its integers differ by no more than
what float32 rounds.

Notation used for tensor shapes: N images, I inputs, O outputs, H rows, W columns.
"""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from adq.quantization.multipliers import Multipliers, on_multiplier_grid, straight_through
from adq.quantization.quantizers import Activation, WeightQuantizer, round_half_up
from adq.quantization.reading.operations import Layer
from adq.quantization.steps.batch_norm import affine, folded, normalized, statistics
from adq.quantization.steps.remembering import remembering
from adq.quantization.steps.stages import Accumulated, Stage


class LayerStage(Stage):
    """A convolution or a linear layer, and a batch norm behind it if any.

    A layer's k covers its operands: the weights and the *input* activations.
    """

    keeps_channels = False

    def __init__(self, name: str, inputs: tuple[str, ...], operation: Layer, *, bits: int):
        super().__init__(name, inputs)
        self.module = operation.module
        self.padding = operation.padding
        self.norm: nn.BatchNorm1d | nn.BatchNorm2d | None = None
        self.positions = 1
        """Outputs of a channel for one image."""
        for side in operation.shape[1:]:
            self.positions *= side
        self.weight_quantizer = WeightQuantizer(bits=bits, per_channel=True)

    def gives_signed(self, reads_signed: bool) -> bool:
        return True

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
        """Return factor and offset that follow the products, in evaluation: float64 (O,) both."""
        bias = self.module.bias
        offset = torch.zeros(self.channels) if bias is None else bias
        offset = offset.detach().to(self.module.weight.device, torch.float64)
        if self.norm is None:
            return torch.ones_like(offset), offset
        factor, shift = folded(self.norm)
        return factor, shift + factor * offset

    def accumulator_scale(self, input_scale: torch.Tensor) -> torch.Tensor:
        """Return the real value of an integer 1 in the accumulator: (O,)."""
        return input_scale * self.weight_quantizer.scale(self.module.weight)

    def accumulate(self, x: Activation, unit: torch.Tensor | None) -> Accumulated:
        """Map (N, I, H, W) to (N, O, OH, OW), or (N, I) to (N, O)."""
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
        gamma, beta = affine(self.norm)
        if unit is not None:
            exact = self._exact_affine(self.norm, multipliers / grid.double(), offset)
            gamma = straight_through(gamma / unit, exact[0])
            beta = straight_through(beta / unit, exact[1])
        return normalized(self.norm, products, gamma, beta), shift

    @torch.no_grad()
    def _requantization(
        self, grid: torch.Tensor, unit: torch.Tensor
    ) -> tuple[Multipliers, torch.Tensor]:
        """Return what follows the accumulator, as integers have it.

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
        self, norm: nn.BatchNorm1d | nn.BatchNorm2d, factor: torch.Tensor, offset: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return gamma and beta that fold into a factor and an offset by the running statistics:
        (O,).
        """
        mean, deviation = statistics(norm)
        bias = self.module.bias
        if bias is not None:
            mean = (mean.float() - bias).double()
        return factor * deviation, offset + factor * mean

    def _products(
        self,
        x: Activation,
        scale: torch.Tensor,
        factor: torch.Tensor,
        bias: torch.Tensor | None,
    ) -> torch.Tensor:
        """Return the sums of products of integers, times a factor a channel, plus a bias."""
        module = self.module

        def again() -> torch.Tensor:
            with torch.no_grad():
                return as_images(self.weight_quantizer.scaled(module.weight, scale, factor))

        weight = as_images(self.weight_quantizer.scaled(module.weight, scale, factor))
        with remembering(x, weight, again):
            if isinstance(module, nn.Linear):
                return functional.linear(x.integers, weight, bias)
            return functional.conv2d(
                x.integers, weight, bias, pair(module.stride, 1), self.padding,
                pair(module.dilation, 1), module.groups,
            )  # fmt: skip


class LogitsStage(LayerStage):
    """A layer that gives an output of the network: all of its channels share one scale.

    It adds up integers and scales their sum: at few bits logits are often equal, and then they
    must be equal here too, for the same class to be the first of the largest.
    """

    def __init__(self, name: str, inputs: tuple[str, ...], operation: Layer, *, bits: int):
        super().__init__(name, inputs, operation, bits=bits)
        self.weight_quantizer.per_channel = False

    def run(self, values: Mapping[str, Activation]) -> Activation:
        """Map (N, I) to (N, O) or (N, I, H, W) to (N, O, OH, OW): sums, and their scale."""
        x = self.input(values)
        scale = self.weight_quantizer.scale(self.module.weight)
        grid = x.scale * scale  # (O,), all equal
        bias = self.module.bias
        if bias is not None:
            bias = bias / grid if self.weight_quantizer.real else round_half_up(bias / grid)
        products = self._products(x, scale, torch.ones_like(scale), bias)
        return Activation(products, grid.reshape(-1, *[1] * (products.dim() - 2)))


def as_images(weight: torch.Tensor) -> torch.Tensor:
    """Return weights (O, I, K) of a convolution over a length as (O, I, 1, K); others as they
    are.
    """
    return weight.unsqueeze(2) if weight.dim() == 3 else weight


def pair(value: tuple[int, ...], other: int) -> tuple[int, int]:
    """Return (vertical, horizontal) of a convolution, with ``other`` beside that of a length."""
    return (other, value[0]) if len(value) == 1 else (value[0], value[1])
