"""Work of a network, read from an artifact, a checkpoint, an architecture or a module."""

import copy
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from adq.cost.architectures import listed_work
from adq.cost.models import BASELINE_BITS
from adq.cost.work import LayerWork, NetworkWork
from adq.own_code import is_own

if TYPE_CHECKING:
    from torch import nn

    from adq.golden.network import Network
    from adq.runs.checkpoint import Checkpoint

_Number = TypeVar("_Number", int, float)

MINIMUM_BITS = 2
"""Minimum bits of a layer."""


class CostError(ValueError):
    """The cost of a network cannot be computed. The message says why and how to fix it."""


def read_networks(path: Path) -> list[NetworkWork]:
    """Read the networks of a path: an artifact, a checkpoint, or a run with its checkpoints."""
    from adq.runs.run import Run

    if (path / "manifest.json").exists():
        from adq.golden.artifact import read_artifact

        return [artifact_work(read_artifact(path).network, name=str(path))]
    if path.is_file():
        return [_checkpoint_work(path)]
    run = Run(path)
    checkpoints = [file for file in (run.mixed, run.baseline) if file.exists()]
    if not checkpoints:
        raise CostError(
            f"{path}: is no artifact, run or checkpoint: give the folder of one that "
            "`adq export` or `adq train` wrote, or --arch with the name of an architecture"
        )
    return [_checkpoint_work(file) for file in checkpoints]


def artifact_work(network: "Network", *, name: str) -> NetworkWork:
    """Return the work of an integer network.

    The baseline has the same channels, because an artifact does not record pruned ones.
    """
    layers = [
        LayerWork(
            name=layer.name,
            channels=layer.outputs,
            macs=network.macs(layer.name),
            inputs=math.prod(network.shapes[layer.input]),
            weights=layer.weight.size,
            weight_bits=layer.weight_bits,
            activation_bits=network.formats[layer.input].bits,
            density=layer.density,
        )
        for layer in network.matrix_layers
    ]
    return NetworkWork.of(name, layers)


def module_work(
    module: "nn.Module",
    input_shape: Sequence[int],
    *,
    bits: Mapping[str, int] | int = BASELINE_BITS,
    densities: Mapping[str, float] | None = None,
) -> tuple[LayerWork, ...]:
    """Return the work of the convolutions and linear layers of a module, in execution order.

    The module runs once on a meta tensor of shape (C, H, W), which needs no arithmetic. The keys of
    ``bits`` and ``densities`` are names of ``named_modules``.

    Raises
    ------
    CostError
        If the module runs neither convolutions nor linear layers.

    """
    import torch
    from torch import nn

    found: dict[str, LayerWork] = {}
    module = copy.deepcopy(module).to("meta").eval()

    def record(
        name: str,
        layer: nn.Conv2d | nn.Linear,
        inputs: tuple[torch.Tensor, ...],
        output: torch.Tensor,
    ) -> None:
        k = bits if isinstance(bits, int) else bits[name]
        found[name] = LayerWork(
            name=name,
            channels=output.shape[1],
            macs=output[0].numel() * layer.weight[0].numel(),
            inputs=inputs[0][0].numel(),
            weights=layer.weight.numel(),
            weight_bits=k,
            activation_bits=k,
            density=(densities or {}).get(name),
        )

    for name, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(functools.partial(record, name))
    with torch.no_grad():
        module(torch.empty(1, *input_shape, device="meta"))
    if not found:
        raise CostError(
            f"{type(module).__name__} runs no Conv2d and no Linear module: give the network as it "
            "was before adq.prepare, or export it and give the artifact"
        )
    return tuple(found.values())


def numbers(option: str, text: str, kind: Callable[[str], _Number]) -> list[_Number]:
    """Return the numbers of an option, separated by commas or by x, as in 3x32x32.

    Raises
    ------
    CostError
        If the text is not a list of numbers.

    """
    try:
        return [kind(each) for each in text.replace("x", ",").split(",") if text]
    except ValueError:
        raise CostError(f"--{option} {text}: it must be numbers, as in 16,4,2") from None


def architecture_work(
    architecture: str,
    *,
    input_shape: Sequence[int],
    classes: int,
    bits: Sequence[int] = (BASELINE_BITS,),
    channels: Sequence[int] = (),
    densities: Sequence[float] = (),
) -> NetworkWork:
    """Return the work of one of the package's architectures.

    Parameters
    ----------
    bits
        One number for all layers, or one number per layer.
    channels
        Output channels of every layer except the last. Default: those of the architecture.
    densities
        One activation density for all layers except the last, or one for each of these. If given,
        the bits of all layers except the first and the last are lowered once by the rule of
        ``adq.training.controller``.

    Raises
    ------
    CostError
        If the architecture is unknown, a number is out of range, or the number of values differs
        from the number of layers.
    adq.models.ModelError
        If the images are too small, or the channels of a skip connection differ.

    """
    from adq.models import ARCHITECTURES
    from adq.training.controller import scaled

    if architecture not in ARCHITECTURES:
        raise CostError(
            f"architecture {architecture!r}: it must be one of {', '.join(ARCHITECTURES)}"
        )
    if len(input_shape) != 3 or min(input_shape) < 1:
        given = "x".join(map(str, input_shape))
        raise CostError(f"--input {given}: it must be channels, rows and columns, as 3x32x32")
    unpruned = listed_work(architecture, input_shape, classes)
    names = [layer.name for layer in unpruned]
    precision = _of_layers("bits", bits, names, MINIMUM_BITS, BASELINE_BITS)
    density: dict[str, float] = {}
    if densities:
        density = _of_layers("density", densities, names[:-1], 0, 1)
        precision |= {
            name: scaled(precision[name], density[name], MINIMUM_BITS) for name in names[1:-1]
        }
    kept = None
    if channels:
        kept = _of_layers("channels", channels, names[:-1], 1, math.inf) | {names[-1]: classes}
    work = listed_work(architecture, input_shape, classes, kept)
    for layer in work:
        if kept and layer.channels != kept[layer.name]:
            raise CostError(
                f"channels {kept[layer.name]} of {layer.name}: it adds to {layer.channels} others, "
                "so that it must have as many"
            )
    layers = [
        dataclasses.replace(layer.at(precision[layer.name]), density=density.get(layer.name))
        for layer in work
    ]
    return NetworkWork.of(architecture, layers, unpruned)


def _checkpoint_work(path: Path) -> NetworkWork:
    from adq.runs.checkpoint import Checkpoint

    checkpoint = Checkpoint.load(path)
    if is_own(checkpoint.recipe["model"]["name"]):
        return _own_work(path, checkpoint)
    shape = (checkpoint.recipe["model"]["name"], checkpoint.input_shape, checkpoint.classes)
    layers = [
        dataclasses.replace(
            layer.at(checkpoint.bits[layer.name]), density=checkpoint.densities.get(layer.name)
        )
        for layer in listed_work(*shape, checkpoint.channels)
    ]
    return NetworkWork.of(str(path), layers, listed_work(*shape))


def _own_work(path: Path, checkpoint: "Checkpoint") -> NetworkWork:
    """Return the work of a network that a function of the user's builds."""
    from adq.models import build

    name, shape = checkpoint.recipe["model"]["name"], checkpoint.input_shape
    unpruned = module_work(build(name, shape, checkpoint.classes), shape)
    layers = module_work(
        checkpoint.build().model.network,
        shape,
        bits=checkpoint.bits,
        densities=checkpoint.densities,
    )
    return NetworkWork.of(str(path), layers, unpruned)


def _of_layers(
    what: str, values: Sequence[_Number], layers: Sequence[str], low: float, high: float
) -> dict[str, _Number]:
    """Return the values by layer name. A single value applies to all layers."""
    for value in values:
        if not low <= value <= high:
            valid = f"at least {low}" if high == math.inf else f"{low} to {high}"
            raise CostError(f"{what} {value}: it must be {valid}")
    if len(values) not in (1, len(layers)):
        raise CostError(
            f"{what}: {len(values)} are given; give 1, or {len(layers)}, one for each of "
            f"{', '.join(layers)}"
        )
    return dict(zip(layers, itertools.cycle(values), strict=False))
