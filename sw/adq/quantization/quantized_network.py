"""A quantized network: its steps in order, and the precision of every tensor between them.

A layer's k covers its weights and its input. A tensor has the precision of its widest reader; a
narrower reader quantizes it again. A skip connection has the precision of the layer that it
joins; pooling and bare additions ask for what their own readers ask for.
"""

from collections.abc import Mapping

import torch
from torch import nn

from adq.quantization.layers import LayerStage, LogitsStage
from adq.quantization.quantizers import Activation, ActivationQuantizer
from adq.quantization.stages import (
    InputStage,
    Passive,
    Reading,
    Stage,
    Step,
)


class QuantizedNetwork(nn.Module):
    """A network that computes on the integers' grid; images (N, C, H, W) to logits (N, O).

    The layers and batch norms are the given network's own modules, whose parameters it trains.

    Parameters
    ----------
    network
        The network, in floating point.
    steps
        What it computes, in order, on the network's own modules.
    learned
        Whether gradients learn the ranges of activations.

    """

    def __init__(self, network: nn.Module, steps: list[Step], *, learned: bool):
        super().__init__()
        self.network = network
        self.steps = steps
        self.layers = {step.name: step for step in steps if isinstance(step, LayerStage)}
        """Convolutions and linear layers by name, in order."""
        self.readers: dict[str, list[tuple[Step, Reading]]] = {step.name: [] for step in steps}
        """Who reads the tensor of each step."""
        for step in steps:
            for reading in step.readings:
                self.readers[reading.tensor].append((step, reading))
        self._last_reader = {
            tensor: readers[-1][0] for tensor, readers in self.readers.items() if readers
        }
        self.quantizers = nn.ModuleDict()
        signed: dict[str, bool] = {}
        for step in steps:
            signed[step.name] = self._add_quantizer(step, signed, learned)
        self._set_precisions()
        device = next(network.parameters()).device
        self.quantizers.to(device)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, O)."""
        input_stage, *steps = self.steps
        values: dict[str, Activation] = {input_stage.name: input_stage.quantize(images)}
        for step in steps:
            values[step.name] = step.run(values)
            for reading in step.readings:
                if self._last_reader[reading.tensor] is step:
                    values.pop(reading.tensor, None)  # frees memory as soon as possible
        return values[steps[-1].name]

    def quantizer(self, name: str) -> ActivationQuantizer:
        """Return the quantizer of a tensor, a maximum pooling or flattening seen through."""
        step = next(each for each in self.steps if each.name == name)
        return self.quantizer(step.input.tensor) if isinstance(step, Passive) else step.quantizer

    def set_bits(self, bits: Mapping[str, int]) -> None:
        """Give layers another precision; tensors that change find a new range."""
        for name, each in bits.items():
            self.layers[name].bits = each
        self._set_precisions()

    def get_extra_state(self) -> dict[str, dict[str, int]]:
        """Return the precisions, which a checkpoint keeps beside the weights."""
        return {"bits": {name: layer.bits for name, layer in self.layers.items()}}

    def set_extra_state(self, state: dict[str, dict[str, int]]) -> None:
        """Take over the precisions that ``get_extra_state`` gave."""
        self.set_bits(state["bits"])

    def _add_quantizer(self, step: Step, signed: Mapping[str, bool], learned: bool) -> bool:
        """Give a step its quantizers; say whether its output is signed."""
        input_signed = any(signed[reading.tensor] for reading in step.readings)
        # A module's name has no dots.
        name = step.name.replace(".", "/")
        for position, reading in enumerate(step.readings):
            if len(self.readers[reading.tensor]) > 1:
                reading.quantizer = ActivationQuantizer(
                    bits=16, signed=signed[reading.tensor], learned=learned
                )
                end = f"{name}:{position}"
                self.quantizers[f"{reading.tensor.replace('.', '/')}->{end}"] = reading.quantizer
        if isinstance(step, Passive | LogitsStage):
            return input_signed
        rectified = isinstance(step, Stage) and step.relu
        result = not rectified and (input_signed or isinstance(step, InputStage | LayerStage))
        # What images are like is not learned, and finding it must not need their gradient.
        learned = learned and not isinstance(step, InputStage)
        step.quantizer = ActivationQuantizer(
            bits=16, signed=result, learned=learned, rectifies=rectified
        )
        self.quantizers[name] = step.quantizer
        return result

    def _set_precisions(self) -> None:
        """Give every tensor the bits of its widest reader, and narrower readers their own."""
        tensor_bits: dict[str, int] = {}
        for step in reversed(self.steps):
            wanted = [
                reader.bits or tensor_bits[reader.name] for reader, _ in self.readers[step.name]
            ]
            tensor_bits[step.name] = widest = max(wanted, default=0)
            for (_, reading), bits in zip(self.readers[step.name], wanted, strict=True):
                reading.narrower = bits < widest
                if reading.quantizer is not None:
                    reading.quantizer.change(bits)
                    reading.quantizer.range.requires_grad_(
                        reading.narrower and reading.quantizer.learned
                    )
            if isinstance(step, Stage) and not isinstance(step, LogitsStage):
                step.quantizer.change(widest)
