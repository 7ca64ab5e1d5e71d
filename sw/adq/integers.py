"""From a trained network to the integers that every implementation computes.

Per layer the trained network computes, with a = s_w * s_x the accumulator's scale and batch norm
folded into a factor g and an offset o,

    y = g * a * acc + o = g * a * (acc + o / (g * a)),

which becomes (acc + bias) * M / 2^S in units of the next layer's scale s_y. A negative gamma
gives a negative M. The bias is taken against M / 2^S as rounded rather than against g * a, so
that a coarse M, which a channel with a small gamma gets beside channels with large ones, does not
shift the offset. A channel whose M would be 0 contributes less than half of a unit of the layer's
largest M: its weights become 0 and its bias carries the offset alone.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from adq.layers import QuantizedBatchNorm2d, QuantizedConv2d, QuantizedLinear
from adq.quantizers import ActivationQuantizer
from golden.network import (
    INPUT,
    ActivationFormat,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Network,
    Requantize,
)
from golden.requantize import multiplier_and_shift


class ExportError(ValueError):
    """A network that has no integer form, or a request for something that a run does not hold."""


@torch.no_grad()
def integer_network(
    model: nn.Sequential,
    *,
    name: str,
    input_shape: tuple[int, int, int],
    densities: Mapping[str, float],
) -> Network:
    """Turn a trained network into integers.

    Batch norm and ReLU become part of the convolution before them, whose output takes the format
    of the next layer's input: maximum pooling commutes with rounding, so it may lie between.

    Raises
    ------
    ExportError
        The model holds a module, or an order of modules, that has no integer form.
    golden.network.NetworkError
        A width could overflow.

    """
    nodes = []
    source = INPUT
    children = list(model.named_children())
    for position, (child_name, child) in enumerate(children):
        following = [module for _, module in children[position + 1 :]]
        common = {"name": child_name, "input": source}
        match child:
            case QuantizedConv2d():
                match following:
                    case [QuantizedBatchNorm2d() as norm, nn.ReLU(), *rest]:
                        density = densities.get(child_name)
                        node = _convolution(child, norm, _reader(rest), density, common)
                    case _:
                        raise ExportError(
                            f"{child_name}: a convolution must be followed by batch norm and ReLU"
                        )
            case QuantizedBatchNorm2d() | nn.ReLU():
                continue
            case QuantizedLinear():
                node = _linear(child, common)
            case nn.MaxPool2d():
                pairs = {key: _pair(getattr(child, key)) for key in ("stride", "padding")}
                node = MaxPool2d(kernel=_pair(child.kernel_size), **pairs, **common)
            case nn.Flatten():
                node = Flatten(**common)
            case _:
                raise ExportError(f"{child_name}: {type(child).__name__} has no integer form")
        nodes.append(node)
        source = child_name
    return Network(
        name=name,
        input_shape=input_shape,
        input_format=_format(_reader([module for _, module in children])),
        nodes=tuple(nodes),
    )


def _convolution(
    layer: QuantizedConv2d,
    norm: QuantizedBatchNorm2d,
    reader: ActivationQuantizer,
    density: float | None,
    common: dict[str, str],
) -> Conv2d:
    factor, offset = (tensor.numpy() for tensor in norm.fold())
    output = _format(reader)
    multiplier, shift = multiplier_and_shift(
        factor * layer.accumulator_scale().double().numpy() / output.scale
    )
    weight = _integers(layer)
    silent = multiplier == 0
    weight[silent] = 0
    multiplier[silent] = 1
    units = np.ldexp(offset / output.scale, shift)
    return Conv2d(
        weight=weight,
        weight_bits=layer.bits,
        bias=np.rint(units / multiplier).astype(np.int64),
        requantize=Requantize(multiplier=multiplier, shift=shift, format=output),
        stride=_pair(layer.stride),
        padding=_pair(layer.padding),
        density=density,
        **common,
    )


def _linear(layer: QuantizedLinear, common: dict[str, str]) -> Linear:
    bias = layer.bias.double() / layer.accumulator_scale().double()
    return Linear(
        weight=_integers(layer),
        weight_bits=layer.bits,
        bias=bias.round().to(torch.int64).numpy(),
        requantize=None,
        **common,
    )


def _integers(layer: QuantizedConv2d | QuantizedLinear) -> np.ndarray:
    return layer.weight_quantizer.integers(layer.weight).to(torch.int64).numpy()


def _reader(modules: list[nn.Module]) -> ActivationQuantizer:
    """The quantizer of the first layer among modules: it reads what comes before."""
    for module in modules:
        if isinstance(module, QuantizedConv2d | QuantizedLinear):
            return module.input_quantizer
    raise ExportError("the network must end in a linear layer, which gives the logits")


def _format(quantizer: ActivationQuantizer) -> ActivationFormat:
    return ActivationFormat(
        bits=quantizer.bits, signed=quantizer.signed, scale=quantizer.scale.item()
    )


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)
