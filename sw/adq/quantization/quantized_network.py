"""A quantized network: its steps in order, and the precision of every tensor between them.

A layer's k covers its weights and its input. A tensor has the precision of its widest reader; a
narrower reader quantizes it again. A skip connection has the precision of the layer that it
joins; pooling and bare additions ask for what their own readers ask for.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils import _pytree as pytree

from adq.quantization.quantizers import Activation, ActivationQuantizer, LevelQuantizer
from adq.quantization.steps.layers import LayerStage, LogitsStage
from adq.quantization.steps.stages import InputStage, Stage
from adq.quantization.steps.step import Reading, Step

OUTPUT_BITS = 16
"""Precision of an output that is no layer's accumulator."""


@dataclass(frozen=True)
class Outputs:
    """Tensors that a network returns, and their structure."""

    steps: tuple[str, ...]
    """Steps that give the tensors, in order."""
    shapes: tuple[tuple[int, ...], ...]
    """Shapes of the tensors as the network returns them, without N."""
    structure: pytree.TreeSpec

    def __deepcopy__(self, memo: dict[int, object]) -> "Outputs":
        return self  # immutable, and its structure does not copy itself without a warning


class QuantizedNetwork(nn.Module):
    """A network that computes on the integers' grid, and returns what the given network returns.

    The layers and batch norms are the given network's own modules, whose parameters it trains.

    Parameters
    ----------
    network
        The network, in floating point.
    steps
        What it computes, in order, on the network's own modules.
    outputs
        What it returns.
    learned
        Whether gradients learn the ranges of activations.
    levels
        Largest level of the images, where the network reads levels.
    range_batches
        Batches from which a learned range starts.

    """

    def __init__(
        self,
        network: nn.Module,
        steps: list[Step],
        outputs: Outputs,
        *,
        learned: bool,
        levels: int | None = None,
        range_batches: int = 1,
    ):
        super().__init__()
        self.network = network
        self.range_batches = range_batches
        self.steps = steps
        self.outputs = outputs
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
            signed[step.name] = self._add_quantizer(step, signed, learned, levels)
        self._set_precisions()
        device = next(network.parameters()).device
        self.quantizers.to(device)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to (N, O), or to whatever the given network returns.

        Under autocast to bfloat16, convolutions and linear layers compute in bfloat16. Under
        autocast to float16 everything stays in float32: integers of 16 bits and their sums overflow
        half precision.
        """
        with _without_half_precision(images.device.type):
            values = {
                step.name: value
                for step, value in self.run(images)
                if step.name in self.outputs.steps
            }
        tensors = [
            real_numbers(values[name]).reshape(-1, *shape)
            for name, shape in zip(self.outputs.steps, self.outputs.shapes, strict=True)
        ]
        returned: torch.Tensor = pytree.tree_unflatten(tensors, self.outputs.structure)
        return returned

    def run(self, images: torch.Tensor) -> Iterator[tuple[Step, Activation]]:
        """Yield every step with its tensor, as soon as it is computed."""
        values: dict[str, Activation] = {}
        for step in self.steps:
            value = step.quantize(images) if isinstance(step, InputStage) else step.run(values)
            values[step.name] = value
            yield step, value
            for reading in step.readings:
                if self._last_reader[reading.tensor] is step:
                    values.pop(reading.tensor, None)  # frees memory as soon as possible

    @contextlib.contextmanager
    def in_real_numbers(self) -> Iterator[None]:
        """Compute without rounding and without ranges inside, as the given network does.

        What ranges see inside they keep, until they are told to forget it.
        """
        self._set_real(True)
        try:
            yield
        finally:
            self._set_real(False)

    def _set_real(self, real: bool) -> None:
        for quantizer in self.activation_quantizers.values():
            quantizer.real = real
        for layer in self.layers.values():
            layer.weight_quantizer.real = real

    @property
    def input_stage(self) -> InputStage:
        """The quantizer of the images, which is the first step."""
        first = self.steps[0]
        if not isinstance(first, InputStage):
            raise AssertionError(f"{first.name} stands before the images")
        return first

    @property
    def activation_quantizers(self) -> dict[str, ActivationQuantizer]:
        """Quantizers of activations, by name of their module."""
        return {
            name: each
            for name, each in self.quantizers.items()
            if isinstance(each, ActivationQuantizer)
        }

    def quantizer(self, name: str) -> ActivationQuantizer:
        """Return the quantizer of a tensor, a maximum pooling or flattening seen through."""
        step = next(each for each in self.steps if each.name == name)
        if isinstance(step, Stage):
            return step.quantizer
        return self.quantizer(step.input.tensor)

    def set_bits(self, bits: Mapping[str, int], *, keep_ranges: bool = False) -> None:
        """Give layers another precision; tensors that change find a new range, or keep theirs."""
        for name, each in bits.items():
            self.layers[name].bits = each
        self._set_precisions(keep_ranges)

    def get_extra_state(self) -> dict[str, dict[str, int]]:
        """Return the precisions, which a checkpoint keeps beside the weights."""
        return {"bits": {name: layer.bits for name, layer in self.layers.items()}}

    def set_extra_state(self, state: dict[str, dict[str, int]]) -> None:
        """Take over the precisions that ``get_extra_state`` gave."""
        self.set_bits(state["bits"])

    def _add_quantizer(
        self, step: Step, signed: Mapping[str, bool], learned: bool, levels: int | None
    ) -> bool:
        """Give a step its quantizers; say whether its output is signed."""
        input_signed = any(signed[reading.tensor] for reading in step.readings)
        # A module's name has no dots.
        name = step.name.replace(".", "/")
        for position, reading in enumerate(step.readings):
            if len(self.readers[reading.tensor]) > 1 or reading.tensor in self.outputs.steps:
                quantizer = ActivationQuantizer(
                    bits=16,
                    signed=signed[reading.tensor],
                    learned=learned,
                    range_batches=self.range_batches,
                )
                reading.own_quantizer = quantizer
                end = f"{name}:{position}"
                self.quantizers[f"{reading.tensor.replace('.', '/')}->{end}"] = quantizer
        if not isinstance(step, Stage) or isinstance(step, LogitsStage):
            return input_signed
        if isinstance(step, InputStage) and levels is not None:
            step.quantizer = self.quantizers[name] = LevelQuantizer(levels)
            return step.quantizer.signed
        rectified = step.relu
        result = not rectified and step.gives_signed(input_signed)
        # The range of images is not learned: finding it must not need a gradient of the images.
        learned = learned and not isinstance(step, InputStage)
        step.quantizer = ActivationQuantizer(
            bits=16,
            signed=result,
            learned=learned,
            rectifies=rectified,
            limit=step.limit,
            range_batches=self.range_batches,
        )
        self.quantizers[name] = step.quantizer
        return result

    def _set_precisions(self, keep_ranges: bool = False) -> None:
        """Give every tensor the bits of its widest reader, and narrower readers their own."""
        tensor_bits: dict[str, int] = {}
        for step in reversed(self.steps):
            wanted = [
                reader.wants(tensor_bits[reader.name]) for reader, _ in self.readers[step.name]
            ]
            given = OUTPUT_BITS if step.name in self.outputs.steps else 0
            tensor_bits[step.name] = widest = step.gives(max([*wanted, given]))
            for (_, reading), bits in zip(self.readers[step.name], wanted, strict=True):
                reading.narrower = bits < widest
                own = reading.own_quantizer
                if own is not None:
                    own.change(bits, keep_range=keep_ranges)
                    own.range.requires_grad_(reading.narrower and own.learned)
            if isinstance(step, Stage) and not isinstance(step, LogitsStage):
                step.quantizer.change(widest, keep_range=keep_ranges)


def _without_half_precision(device: str) -> contextlib.AbstractContextManager[object]:
    """Switch autocast to float16 off."""
    half = torch.is_autocast_enabled(device) and (torch.get_autocast_dtype(device) == torch.float16)
    return torch.autocast(device, enabled=False) if half else contextlib.nullcontext()


def real_numbers(value: Activation) -> torch.Tensor:
    """Return the real numbers of a step's tensor."""
    return value.integers * value.scale
