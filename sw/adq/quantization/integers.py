"""From a trained network to the integers that every implementation computes.

A stage of the trained network computes, with a = s_w * s_x the accumulator's scale and what
follows the products (batch norm, bias) folded into a factor g and an offset o,

    y = g * a * acc + o + skip = g * a * (acc + o / (g * a)) + s_skip * q_skip,

which becomes (acc + bias) * M / 2^S + q_skip * M_skip / 2^S in units of the output's scale s_y. A
negative gamma gives a negative M. The bias is taken against M / 2^S as rounded rather than against
g * a, so that a coarse M, which a channel with a small gamma gets beside channels with large ones,
does not shift the offset. A channel whose M would be 0 contributes less than half of a unit of the
layer's largest M: its weights become 0 and its bias carries the offset alone.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from adq.golden.network import (
    INPUT,
    ActivationFormat,
    AveragePool2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Network,
    NetworkError,
    Node,
    Requantize,
    Rescale,
)
from adq.golden.requantize import multiplier_and_shift
from adq.quantization.layers import LayerStage, LogitsStage
from adq.quantization.multipliers import on_multiplier_grid
from adq.quantization.operations import MaxPool
from adq.quantization.prepared import Prepared
from adq.quantization.quantizers import ActivationQuantizer
from adq.quantization.stages import (
    AverageStage,
    Dropping,
    Flattening,
    InputStage,
    Pooling,
    Reading,
    RescaleStage,
    Stage,
    Step,
)
from adq.quantization.tracing import pair

_LARGEST_SHIFT = 40
"""Beside a skip connection, whose multiplier is near 2^S: with 16 bits it stays within int64."""


class ExportError(ValueError):
    """A request for integers that a run or a network does not hold."""


@torch.no_grad()
def integer_network(
    prepared: Prepared, *, name: str, densities: Mapping[str, float] | None = None
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
        A layer holds something that is no number.
    adq.golden.network.NetworkError
        A width could overflow.

    """
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
    )


class _Export:
    def __init__(self, prepared: Prepared, densities: Mapping[str, float]):
        self.densities = densities
        self.nodes: list[Node] = []
        self.tensors: dict[str, str] = {}
        """Tensor of the integer network that holds what a step gives."""
        self.shapes: dict[str, tuple[int, ...]] = {INPUT: prepared.input_shape}
        self.formats: dict[str, ActivationFormat] = {}

    def add(self, step: Step) -> None:
        """Add what a step computes."""
        if isinstance(step, InputStage):
            self.tensors[step.name] = INPUT
            self.formats[INPUT] = _format(step.quantizer)
            return
        source, *skips = [
            self._read(reading, f"{step.name}.{end}")
            for reading, end in zip(step.readings, ("input", "skip"), strict=False)
        ]
        common = {"name": step.name, "input": source}
        match step:
            case LogitsStage():
                self._append(self._logits(step, common), None)
            case LayerStage():
                self._append(self._layer(step, common, skips), step.quantizer)
            case AverageStage():
                requantize = self._scaled(step, source, skips, 1 / np.prod(step.average.kernel))
                kernel = {"kernel": step.average.kernel, "stride": step.average.stride}
                self._append(
                    AveragePool2d(requantize=requantize, **kernel, **common), step.quantizer
                )
            case RescaleStage():
                requantize = self._scaled(step, source, skips, 1.0)
                self._append(Rescale(requantize=requantize, **common), step.quantizer)
            case Flattening():
                self._append(Flatten(**common), None)
            case Pooling():
                self._append(_max_pool(step.pool, **common), None)
            case Dropping():
                self.tensors[step.name] = source
                return
        self.tensors[step.name] = step.name
        if isinstance(step, Stage) and step.pool is not None:
            self._append(_max_pool(step.pool, name=step.pool.name, input=step.name), None)
            self.tensors[step.name] = step.pool.name

    def _append(self, node: Node, quantizer: ActivationQuantizer | None) -> None:
        self.nodes.append(node)
        self.shapes[node.name] = node.output_shape(self.shapes[node.input])
        self.formats[node.name] = _format(quantizer) if quantizer else self.formats[node.input]

    def _read(self, reading: Reading, name: str) -> str:
        """Return the tensor that a step reads, in another format where it needs one."""
        tensor = self.tensors[reading.tensor]
        if not reading.narrower:
            return tensor
        target = _format(reading.quantizer)
        ratio = np.full(self.shapes[tensor][0], self.formats[tensor].scale / target.scale)
        requantize = _requantize(ratio, target)
        self._append(Rescale(name=name, input=tensor, requantize=requantize), reading.quantizer)
        return name

    def _skip(self, skips: list[str], target: ActivationFormat) -> dict[str, object]:
        """Real multiplier of a skip connection, if there is one."""
        if not skips:
            return {}
        return {"skip": skips[0], "skip_ratio": self.formats[skips[0]].scale / target.scale}

    def _scaled(self, stage: Stage, source: str, skips: list[str], factor: float) -> Requantize:
        """Requantization of integers as they are, times a factor."""
        target = _format(stage.quantizer)
        ratio = factor * self.formats[source].scale / target.scale
        real = np.full(self.shapes[source][0], ratio)
        return _requantize(real, target, **self._skip(skips, target))

    def _layer(self, stage: LayerStage, common: dict[str, str], skips: list[str]) -> Node:
        target = _format(stage.quantizer)
        factor, offset = (tensor.cpu().numpy() for tensor in stage.fold())
        real = factor * self._accumulator_scale(stage, common["input"]) / target.scale
        if not (np.isfinite(real).all() and np.isfinite(offset).all()):
            raise NetworkError("its weights or its batch norm are no finite numbers: train again")
        requantize = _requantize(real, target, **self._skip(skips, target))
        weight = _integers(stage)
        silent = requantize.multiplier == 0
        weight[silent] = 0
        multiplier = np.where(silent, 1, requantize.multiplier)
        units = np.ldexp(offset / target.scale, requantize.shift)
        fields = {
            "weight": weight,
            "weight_bits": stage.bits,
            "bias": np.rint(units / multiplier).astype(np.int64),
            "requantize": Requantize(
                multiplier=multiplier,
                shift=requantize.shift,
                format=target,
                skip=requantize.skip,
                skip_multiplier=requantize.skip_multiplier,
            ),
            "density": self.densities.get(stage.name),
            **common,
        }
        module = stage.module
        if isinstance(module, nn.Linear):
            return Linear(**fields)
        return Conv2d(
            stride=pair(module.stride),
            padding=pair(module.padding),
            groups=module.groups,
            **fields,
        )

    def _logits(self, stage: LogitsStage, common: dict[str, str]) -> Linear:
        bias = stage.module.bias
        bias = np.zeros(stage.channels) if bias is None else bias.double().cpu().numpy()
        unit = self._accumulator_scale(stage, common["input"])
        return Linear(
            weight=_integers(stage),
            weight_bits=stage.bits,
            bias=np.floor(bias / unit + 0.5).astype(np.int64),
            requantize=None,
            **common,
        )

    def _accumulator_scale(self, stage: LayerStage, source: str) -> np.ndarray:
        # In float32, as the stage computes it: the same product, rounded the same way.
        scale = torch.tensor(self.formats[source].scale, device=stage.module.weight.device)
        return stage.accumulator_scale(scale).double().cpu().numpy()


def _requantize(
    real: np.ndarray,
    target: ActivationFormat,
    *,
    skip: str | None = None,
    skip_ratio: float = 0.0,
) -> Requantize:
    """Express real multipliers, and that of a skip connection, over one power of two."""
    real = on_multiplier_grid(torch.from_numpy(real)).values.numpy()
    multiplier, shift = multiplier_and_shift(real)
    if not multiplier.any() or (skip is not None and shift > _LARGEST_SHIFT):
        # Nothing but a skip connection or offsets: they decide how fine the shift must be.
        shift = _LARGEST_SHIFT if multiplier.any() else np.iinfo(np.int16).bits
        multiplier = np.rint(np.ldexp(real, shift)).astype(np.int16)
    skip_multiplier = None
    if skip is not None:
        value = np.rint(np.ldexp(skip_ratio, shift))
        skip_multiplier = np.full(real.shape, value).astype(np.int64)
    return Requantize(
        multiplier=multiplier,
        shift=shift,
        format=target,
        skip=skip,
        skip_multiplier=skip_multiplier,
    )


def _integers(stage: LayerStage) -> np.ndarray:
    return stage.weight_quantizer.integers(stage.module.weight).to(torch.int64).cpu().numpy()


def _max_pool(pool: MaxPool, *, name: str, input: str) -> MaxPool2d:
    return MaxPool2d(
        name=name, input=input, kernel=pool.kernel, stride=pool.stride, padding=pool.padding
    )


def _format(quantizer: ActivationQuantizer) -> ActivationFormat:
    return ActivationFormat(
        bits=quantizer.bits, signed=quantizer.signed, scale=quantizer.scale.item()
    )
