"""From a trained network to the integers that every implementation computes.

A stage of the trained network computes, with a = s_w * s_x the accumulator's scale and what
follows the products (batch norm, bias) folded into a factor g and an offset o,

    y = g * a * acc + o + skip = g * a * (acc + o / (g * a)) + s_skip * q_skip,

which becomes (acc + bias) * M / 2^S + (q_skip * M_skip << E) / 2^S in units of the output's scale
s_y. A
negative gamma gives a negative M. The bias is taken against M / 2^S as rounded rather than against
g * a, so that a coarse M, which a channel with a small gamma gets beside channels with large ones,
does not shift the offset. A channel whose M would be 0 contributes less than half of a unit of the
layer's largest M: its weights become 0 and its bias carries the offset alone.
"""

import dataclasses
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from adq.golden.network import (
    INPUT,
    ActivationFormat,
    AveragePool2d,
    Concat,
    Conv2d,
    Flatten,
    Gather,
    Linear,
    Lookup,
    MaxPool2d,
    Multiply,
    Network,
    NetworkError,
    Node,
    Requantize,
    Rescale,
    Reshape,
)
from adq.golden.requantize import multiplier_and_shift, skip_multiplier_and_shift
from adq.quantization.multipliers import on_multiplier_grid
from adq.quantization.quantizers import ActivationQuantizer
from adq.quantization.reading.operations import MaxPool
from adq.quantization.steps.layers import LayerStage, LogitsStage, as_images, pair
from adq.quantization.steps.stages import (
    AffineStage,
    AverageStage,
    ConcatStage,
    InputStage,
    ProductStage,
    RescaleStage,
    Stage,
    TableStage,
)
from adq.quantization.steps.step import (
    Dropping,
    Flattening,
    Gathering,
    Pooling,
    Reading,
    Reshaping,
    Step,
)

if TYPE_CHECKING:
    from adq.quantization.prepared_network import Prepared

_LARGEST_SHIFT = 40
"""Beside a skip connection, whose multiplier is near 2^S: with 16 bits it stays within int64."""


class ExportError(ValueError):
    """A request for integers that a run or a network does not hold."""


class VanishedRangeWarning(UserWarning):
    """A learned range has fallen to nothing: the layer gives next to nothing."""


@torch.no_grad()
def integer_network(
    prepared: "Prepared", *, name: str, densities: Mapping[str, float] | None = None
) -> Network:
    """Turn a trained network into integers, a node a stage.

    Batch norm, additions and ReLU become part of the layer before them. A tensor has the format
    of its widest reader; each narrower one reads it through a ``Rescale``.

    Parameters
    ----------
    prepared
        The network.
    name
        Its name in the artifact.
    densities
        Activation densities to note beside the layers that have one.

    Raises
    ------
    ExportError
        A layer holds something that is no number, or the range of a tensor was never found.
    adq.golden.network.NetworkError
        A width could overflow.

    """
    for tensor, quantizer in prepared.model.activation_quantizers.items():
        if quantizer.range_has_vanished:
            warnings.warn(
                f"the learned range of {tensor} has fallen to nothing, so that the layer gives "
                "next to nothing: train at a lower learning rate",
                VanishedRangeWarning,
                stacklevel=2,
            )
    export = _Export(prepared, densities or {})
    for step in prepared.model.steps:
        try:
            export.add(step)
        except NetworkError as error:
            raise ExportError(f"{step.name} has no integers: {error}") from None
    return Network(
        name=name,
        input_shape=prepared.input_shape,
        input_format=export.formats[INPUT],
        nodes=tuple(export.nodes),
        outputs=tuple(export.tensors[step] for step in prepared.model.outputs.steps),
    )


class _Export:
    def __init__(self, prepared: "Prepared", densities: Mapping[str, float]):
        self.densities = densities
        self.nodes: list[Node] = []
        self.tensors: dict[str, str] = {}
        """Tensor of the integer network that holds what a step gives."""
        self.shapes: dict[str, tuple[int, ...]] = {INPUT: prepared.input_shape}
        self.formats: dict[str, ActivationFormat] = {}

    def add(self, step: Step) -> None:
        """Add what a step computes."""
        if isinstance(step, Stage) and not isinstance(step, LogitsStage):
            self._check_range(step.quantizer, step.name)
        if isinstance(step, InputStage):
            self.tensors[step.name] = INPUT
            self.formats[INPUT] = _format(step.quantizer)
            return
        if isinstance(step, ConcatStage):
            self._concatenate(step)
            return
        tensors = {
            reading: self._read(reading, f"{step.name}.{_end(step, reading, position)}")
            for position, reading in enumerate(step.readings)
        }
        source = tensors[step.input]
        skips = [] if step.skip is None else [tensors[step.skip]]
        match step:
            case LogitsStage():
                self._append(self._logits(step, source), None)
            case LayerStage():
                self._append(self._layer(step, source, skips), step.quantizer)
            case AverageStage():
                requantize = self._scaled(step, source, skips, 1 / step.average.divisor)
                average = AveragePool2d(
                    name=step.name, input=source, requantize=requantize,
                    kernel=step.average.kernel, stride=step.average.stride,
                )  # fmt: skip
                self._append(average, step.quantizer)
            case RescaleStage():
                requantize = self._scaled(step, source, skips, 1.0)
                rescale = Rescale(name=step.name, input=source, requantize=requantize)
                self._append(rescale, step.quantizer)
            case AffineStage():
                self._append(self._affine(step, source, skips), step.quantizer)
            case ProductStage():
                other = tensors[step.operands[1]]
                requantize = self._scaled(step, source, skips, self.formats[other].scale)
                product = Multiply(name=step.name, input=source, other=other, requantize=requantize)
                self._append(product, step.quantizer)
            case TableStage():
                self._append(self._lookup(step, source), step.quantizer)
            case Flattening():
                self._append(Flatten(name=step.name, input=source), None)
            case Reshaping():
                self._append(Reshape(name=step.name, input=source, to=step.shape), None)
            case Gathering():
                self._append(self._gather(step, source), None)
            case Pooling():
                self._append(_max_pool(step.pool, name=step.name, input=source), None)
            case Dropping():
                self.tensors[step.name] = source
                return
        self._finish(step)

    def _finish(self, step: Step) -> None:
        """Note where a step's tensor is, behind its maximum pooling if it has one."""
        self.tensors[step.name] = step.name
        if isinstance(step, Stage) and step.pool is not None:
            self._append(_max_pool(step.pool, name=step.pool.name, input=step.name), None)
            self.tensors[step.name] = step.pool.name

    def _append(self, node: Node, quantizer: ActivationQuantizer | None) -> None:
        self.nodes.append(node)
        shapes = [self.shapes[name] for name in node.reads]
        if isinstance(node, Concat):
            self.shapes[node.name] = node.joined_shape(shapes)
        else:
            self.shapes[node.name] = node.output_shape(shapes[0])
        self.formats[node.name] = _format(quantizer) if quantizer else self.formats[node.input]

    def _read(self, reading: Reading, name: str) -> str:
        """Return the tensor that a step reads, in another format where it needs one."""
        tensor = self.tensors[reading.tensor]
        if not reading.narrower:
            return tensor
        self._check_range(reading.quantizer, name)
        return self._rescaled(tensor, name, reading.quantizer)

    def _rescaled(self, tensor: str, name: str, quantizer: ActivationQuantizer) -> str:
        """Add a tensor in another format."""
        target = _format(quantizer)
        ratio = np.full(self.shapes[tensor][0], self.formats[tensor].scale / target.scale)
        requantize = _requantize(ratio, target)
        self._append(Rescale(name=name, input=tensor, requantize=requantize), quantizer)
        return name

    def _check_range(self, quantizer: ActivationQuantizer, name: str) -> None:
        if not quantizer.range_is_known:
            raise ExportError(
                f"{name}: the range of its activations was never found at {quantizer.bits} bits: "
                "train, or run a batch in training mode, prepared.model.train()(images), first"
            )

    def _concatenate(self, step: ConcatStage) -> None:
        """Add every part in the one format, and the parts one after another."""
        parts = []
        for position, reading in enumerate(step.readings):
            name = f"{step.name}.part{position}"
            tensor = self._read(reading, f"{step.name}.input{position}")
            parts.append(self._rescaled(tensor, name, step.quantizer))
        node = Concat(name=step.name, input=parts[0], others=tuple(parts[1:]))
        self._append(node, step.quantizer)
        self._finish(step)

    def _gather(self, stage: Gathering, source: str) -> Gather:
        gather = stage.gather
        # Where channels stay as they are, as many as pruning has left.
        kept = self.shapes[source][0]
        return Gather(
            name=stage.name,
            input=source,
            channels=np.arange(kept) if stage.keeps_channels else np.array(gather.channels),
            rows=None if gather.rows is None else np.array(gather.rows),
            columns=None if gather.columns is None else np.array(gather.columns),
        )

    def _affine(self, stage: AffineStage, source: str, skips: list[str]) -> Rescale:
        target = _format(stage.quantizer)
        factor, offset = (tensor.cpu().numpy() for tensor in stage.fold())
        real = factor * self.formats[source].scale / target.scale
        if not (np.isfinite(real).all() and np.isfinite(offset).all()):
            raise NetworkError("its batch norm is no finite numbers: train again")
        requantize = _requantize(real, target, self._skip(skips, target))
        units = np.rint(np.ldexp(offset / target.scale, requantize.shift))
        if np.abs(units).max() >= 2.0**62:
            raise NetworkError("its offsets are beyond int64 beside its factors: train again")
        with_offset = dataclasses.replace(requantize, offset=units.astype(np.int64))
        return Rescale(name=stage.name, input=source, requantize=with_offset)

    def _lookup(self, stage: TableStage, source: str) -> Lookup:
        read, target = self.formats[source], _format(stage.quantizer)
        # In float32, as the stage computes it.
        entries = torch.arange(read.lo, read.hi + 1, dtype=torch.float32)
        real = stage.function(entries * torch.tensor(read.scale))
        if not real.isfinite().all():
            raise NetworkError("its function gives values that are no finite numbers")
        steps = torch.floor(real / torch.tensor(target.scale) + 0.5)
        table = steps.clamp(target.lo, target.hi).to(torch.int64).numpy()
        return Lookup(name=stage.name, input=source, table=table, format=target)

    def _skip(self, skips: list[str], target: ActivationFormat) -> tuple[str, float] | None:
        """Return the tensor and real multiplier of a skip connection, if there is one."""
        return (skips[0], self.formats[skips[0]].scale / target.scale) if skips else None

    def _scaled(self, stage: Stage, source: str, skips: list[str], factor: float) -> Requantize:
        """Return the requantization of integers as they are, times a factor."""
        target = _format(stage.quantizer)
        ratio = factor * self.formats[source].scale / target.scale
        real = np.full(self.shapes[source][0], ratio)
        return _requantize(real, target, self._skip(skips, target))

    def _layer(self, stage: LayerStage, source: str, skips: list[str]) -> Linear | Conv2d:
        target = _format(stage.quantizer)
        factor, offset = (tensor.cpu().numpy() for tensor in stage.fold())
        real = factor * self._accumulator_scale(stage, source) / target.scale
        if not (np.isfinite(real).all() and np.isfinite(offset).all()):
            raise NetworkError("its weights or its batch norm are no finite numbers: train again")
        requantize = _requantize(real, target, self._skip(skips, target))
        weight = _integers(stage)
        silent = requantize.multiplier == 0
        weight[silent] = 0
        multiplier = np.where(silent, 1, requantize.multiplier)
        units = np.ldexp(offset / target.scale, requantize.shift)
        return self._multiplied(
            stage,
            source,
            weight,
            bias=np.rint(units / multiplier).astype(np.int64),
            requantize=dataclasses.replace(requantize, multiplier=multiplier),
        )

    def _logits(self, stage: LogitsStage, source: str) -> Linear | Conv2d:
        own = stage.module.bias
        bias = np.zeros(stage.channels) if own is None else own.double().cpu().numpy()
        unit = self._accumulator_scale(stage, source)
        if not (np.isfinite(unit).all() and np.isfinite(bias).all()):
            raise NetworkError("its weights are no finite numbers: train again")
        rounded = np.floor(bias / unit + 0.5).astype(np.int64)
        return self._multiplied(stage, source, _integers(stage), bias=rounded, requantize=None)

    def _multiplied(
        self,
        stage: LayerStage,
        source: str,
        weight: np.ndarray,
        *,
        bias: np.ndarray,
        requantize: Requantize | None,
    ) -> Linear | Conv2d:
        """Make the node of a layer."""
        module, density = stage.module, None
        if requantize is not None:
            density = self.densities.get(stage.name)
        if isinstance(module, nn.Linear):
            return Linear(
                name=stage.name, input=source, weight=weight, weight_bits=stage.bits, bias=bias,
                requantize=requantize, density=density,
            )  # fmt: skip
        return Conv2d(
            name=stage.name, input=source, weight=weight, weight_bits=stage.bits, bias=bias,
            requantize=requantize, density=density, stride=pair(module.stride, 1),
            padding=stage.padding, groups=module.groups, dilation=pair(module.dilation, 1),
        )  # fmt: skip

    def _accumulator_scale(self, stage: LayerStage, source: str) -> np.ndarray:
        # In float32, as the stage computes it: the same product, rounded the same way.
        scale = torch.tensor(self.formats[source].scale, device=stage.module.weight.device)
        return stage.accumulator_scale(scale).double().cpu().numpy()


def _requantize(
    real: np.ndarray, target: ActivationFormat, skip: tuple[str, float] | None = None
) -> Requantize:
    """Express real multipliers, and that of a skip connection, over one power of two.

    ``skip`` is the tensor of the skip connection and its real multiplier.
    """
    real = on_multiplier_grid(torch.from_numpy(real)).values.numpy()
    multiplier, shift = multiplier_and_shift(real)
    if not multiplier.any() or (skip is not None and shift > _LARGEST_SHIFT):
        # Nothing but a skip connection or offsets: they decide how fine the shift must be.
        shift = _LARGEST_SHIFT if multiplier.any() else np.iinfo(np.int16).bits
        multiplier = np.rint(np.ldexp(real, shift)).astype(np.int16)
    skip_multiplier, skip_shift = None, 0
    if skip is not None:
        ratios = np.full(real.shape, skip[1])
        skip_multiplier, skip_shift = skip_multiplier_and_shift(ratios, shift)
    return Requantize(
        multiplier=multiplier,
        shift=shift,
        format=target,
        skip=None if skip is None else skip[0],
        skip_multiplier=skip_multiplier,
        skip_shift=skip_shift,
    )


def _integers(stage: LayerStage) -> np.ndarray:
    weight = as_images(stage.weight_quantizer.integers(stage.module.weight))
    return weight.to(torch.int64).cpu().numpy()


def _end(step: Step, reading: Reading, position: int) -> str:
    """Name what a step reads, behind the step's own name."""
    if reading is step.skip:
        return "skip"
    return "input" if position == 0 else f"input{position}"


def _max_pool(pool: MaxPool, *, name: str, input: str) -> MaxPool2d:
    return MaxPool2d(
        name=name, input=input, kernel=pool.kernel, stride=pool.stride, padding=pool.padding
    )


def _format(quantizer: ActivationQuantizer) -> ActivationFormat:
    return ActivationFormat(
        bits=quantizer.bits, signed=quantizer.signed, scale=quantizer.scale.item()
    )
