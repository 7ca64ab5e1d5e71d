"""Layers that compute on the integers' grid while they train.

A layer's k covers its operands: the weights and the *input* activations, so that the quantizer of
a layer's input sits in the layer. What follows a convolution, batch norm and ReLU, is quantized
by the layer that reads it.

The integer network adds an offset in the accumulator's scale, as an integer, and at few bits the
accumulator is coarse. Batch norm and the linear layer's bias therefore round their offset to that
grid while they train.
"""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from adq.quantizers import ActivationQuantizer, WeightQuantizer, round_half_up


class _Quantized:
    """What quantized layers have in common."""

    input_quantizer: ActivationQuantizer
    weight_quantizer: WeightQuantizer

    @property
    def bits(self) -> int:
        """Precision k of the layer's weights and input activations."""
        return self.weight_quantizer.bits

    @bits.setter
    def bits(self, bits: int) -> None:
        self.input_quantizer.bits = self.weight_quantizer.bits = bits

    def get_extra_state(self) -> dict[str, int]:
        """Return the precision, which a checkpoint keeps beside the weights."""
        return {"bits": self.bits}

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Take over the precision that ``get_extra_state`` gave."""
        self.bits = state["bits"]

    def accumulator_scale(self) -> torch.Tensor:
        """Real value of an integer 1 in the accumulator, a channel each: (O,)."""
        return self.input_quantizer.scale * self.weight_quantizer.scale(self.weight)


class QuantizedConv2d(_Quantized, nn.Conv2d):
    """A convolution of quantized operands, without bias: the batch norm after it has one."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int,
        padding: int,
        signed_input: bool,
        bits: int,
        activation_range: str,
    ):
        super().__init__(in_channels, out_channels, kernel_size, padding=padding, bias=False)
        self.input_quantizer = ActivationQuantizer(
            bits=bits, signed=signed_input, activation_range=activation_range
        )
        self.weight_quantizer = WeightQuantizer(bits=bits, per_channel=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, I, H, W) to (N, O, OH, OW)."""
        return self._conv_forward(self.input_quantizer(x), self.weight_quantizer(self.weight), None)


class QuantizedLinear(_Quantized, nn.Linear):
    """The linear layer that gives the logits: all of its outputs share one scale.

    It adds up integers and scales their sum: at few bits logits are often equal, and then they
    must be equal here too, for the same class to be the first of the largest.
    """

    def __init__(self, in_features: int, out_features: int, *, bits: int, activation_range: str):
        super().__init__(in_features, out_features)
        self.input_quantizer = ActivationQuantizer(
            bits=bits, signed=False, activation_range=activation_range
        )
        self.weight_quantizer = WeightQuantizer(bits=bits, per_channel=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, I) to (N, O)."""
        x = self.input_quantizer.integers(x)
        weight = self.weight_quantizer.integers(self.weight)
        unit = self.accumulator_scale()  # (O,), all equal
        return functional.linear(x, weight, round_half_up(self.bias / unit)) * unit


class QuantizedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose offset, once folded, is an integer in its convolution's accumulator.

    With g = gamma / sqrt(variance + eps), batch norm is g * (x - mean) + beta: a factor, and an
    offset beta - g * mean that the integer network holds as a multiple of g times the
    accumulator's scale. The rounding of the running statistics' offset is added to beta, in
    training as in evaluation, and beta's gradient does not see it.
    """

    def __init__(self, convolution: QuantizedConv2d):
        super().__init__(convolution.out_channels)
        # Outside the modules: the convolution is this one's neighbour and not its child.
        self.__dict__["convolution"] = convolution

    def fold(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Factor g and offset by the running statistics: float64 (C,) both."""
        deviation = (self.running_var.double() + self.eps).sqrt()
        factor = self.weight.double() / deviation
        return factor, self.bias.double() - factor * self.running_mean.double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to the same shape."""
        if self.training:
            self.num_batches_tracked.add_(1)
        return functional.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias + self._rounding(),
            self.training,
            self.momentum,
            self.eps,
        )

    @torch.no_grad()
    def _rounding(self) -> torch.Tensor:
        """What rounding to the accumulator's grid adds to the offset: (C,)."""
        factor, offset = self.fold()
        unit = factor * self.convolution.accumulator_scale()
        # A channel whose gamma is 0 has no grid: its output is the offset itself.
        safe = torch.where(unit == 0, 1.0, unit)
        rounded = torch.where(unit == 0, offset, round_half_up(offset / safe) * safe)
        return (rounded - offset).to(self.bias.dtype)


def quantized_layers(model: nn.Module) -> dict[str, QuantizedConv2d | QuantizedLinear]:
    """Convolutions and linear layers of a model by name, in order."""
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, _Quantized)}


def set_bits(model: nn.Module, bits: Mapping[str, int]) -> None:
    """Give layers another precision; those that change find a new range of their input."""
    for name, layer in quantized_layers(model).items():
        if layer.bits != bits[name]:
            layer.bits = bits[name]
            layer.input_quantizer.forget_range()


def relus(model: nn.Sequential) -> dict[str, nn.ReLU]:
    """The ReLU behind each quantized layer that has one, by the layer's name."""
    found, name = {}, None
    for child_name, child in model.named_children():
        if isinstance(child, _Quantized):
            name = child_name
        elif isinstance(child, nn.ReLU):
            found[name] = child
    return found
