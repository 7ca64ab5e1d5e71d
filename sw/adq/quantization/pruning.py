"""Channels that leave a network in training, and what an optimizer keeps for them.

Which layers share channels, and what else a channel runs through, is Torch-Pruning's dependency
graph (Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR 2023). It is asked on the
network in floating point, whose modules the quantized network trains.

The channels that leave are those that matter least: whose batch norm's |gamma| is smallest, by
which Liu et al. prune ("Learning efficient convolutional networks through network slimming",
ICCV 2017), or whose weights are shortest where there is no batch norm. Where layers share
channels, each counts relative to its mean.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
import torch_pruning
from torch import nn

from adq.quantization.quantized_network import QuantizedNetwork
from adq.quantization.reading.tracing import PrepareError, first_line
from adq.quantization.steps.layers import LayerStage
from adq.quantization.steps.step import Gathering, Reshaping, Step

_Pruner = Callable[[nn.Module, Sequence[int]], nn.Module]
"""Takes output channels out of a layer."""


def groups(model: QuantizedNetwork, example: torch.Tensor) -> tuple[tuple[str, ...], ...]:
    """Return the names of layers that share their output channels, of those whose channels can
    leave.
    """
    graph = _dependencies(model, example)
    found: list[tuple[str, ...]] = []
    seen: set[str] = set()
    for name in model.layers:
        if name not in seen:
            sharing, fixed = _sharing(graph, model, name)
            seen.update(sharing)
            if fixed is None:
                found.append(sharing)
    return tuple(found)


def prune(
    model: QuantizedNetwork,
    example: torch.Tensor,
    channels: Mapping[str, int],
    optimizer: torch.optim.Optimizer | None = None,
) -> None:
    """Keep the given number of output channels of layers; see ``Prepared.prune``."""
    if not channels:
        return
    if optimizer is not None:
        _check_state(model.network, optimizer)
    graph = _dependencies(model, example)
    done: set[str] = set()
    for name, count in channels.items():
        layer = model.layers[name]
        if name in done or count == layer.channels:
            continue
        if not 1 <= count < layer.channels:
            raise PrepareError(
                f"{name}: {count} channels: it has {layer.channels}, and must keep at least 1"
            )
        sharing, fixed = _sharing(graph, model, name)
        if fixed is not None:
            raise PrepareError(f"{name}: {fixed}")
        done.update(sharing)
        importance = torch.stack([_importance(model.layers[each]) for each in sharing]).mean(0)
        # Among channels of equal importance the later ones are removed, so that the count alone
        # decides which positions stay.
        leaving = importance.sort(descending=True, stable=True).indices[count:].sort().values
        with _following(model.network, optimizer):
            graph.get_pruning_group(layer.module, _pruner(layer), leaving.tolist()).prune()


def _dependencies(model: QuantizedNetwork, example: torch.Tensor) -> torch_pruning.DependencyGraph:
    network = model.network
    modes = {module: module.training for module in network.modules()}
    graph = torch_pruning.DependencyGraph()
    device = next(network.parameters()).device
    try:
        with torch.enable_grad():
            graph.build_dependency(network, example.to(device), verbose=False)
    except Exception as error:
        raise PrepareError(
            f"the channels of {type(network).__name__} cannot be followed ({first_line(error)}): "
            "train it without pruning"
        ) from None
    finally:
        for module, training in modes.items():
            module.training = training
    return graph


def _pruner(layer: LayerStage) -> _Pruner:
    """Return Torch-Pruning's function that takes output channels out of a layer."""
    pruner: _Pruner = torch_pruning.prune_conv_out_channels
    if isinstance(layer.module, nn.Linear):
        pruner = torch_pruning.prune_linear_out_channels
    elif _depthwise(layer.module):
        pruner = torch_pruning.prune_depthwise_conv_out_channels
    return pruner


def _depthwise(module: nn.Conv1d | nn.Conv2d) -> bool:
    return module.groups == module.out_channels == module.in_channels


def _sharing(
    graph: torch_pruning.DependencyGraph, model: QuantizedNetwork, name: str
) -> tuple[tuple[str, ...], str | None]:
    """Return the layers that lose an output channel with a layer, and why they cannot, if so."""
    names = {layer.module: name for name, layer in model.layers.items()}
    layer = model.layers[name]
    kept = _kept(model)
    touched = [
        (dependency.target.module, graph.is_out_channel_pruning_fn(dependency.handler))
        for dependency, _ in graph.get_pruning_group(layer.module, _pruner(layer), [0])
    ]
    members = {module for module, is_output in touched if is_output}
    sharing = tuple(name for module, name in names.items() if module in members)
    fixed = next((kept[each] for each in sharing if each in kept), None)
    for module, _ in touched:
        if isinstance(module, nn.Conv2d) and module.groups > 1 and not _depthwise(module):
            fixed = f"its channels fall into the groups of {names[module]}, which must stay equal"
    return sharing, fixed


def _kept(model: QuantizedNetwork) -> dict[str, str]:
    """Return the layers whose channels must stay, and why: what reads them counts on their
    positions.
    """
    kept = {}
    for name, layer in model.layers.items():
        seen: set[Step] = set()
        open_steps: list[Step] = [layer]
        while open_steps:
            step = open_steps.pop()
            seen.add(step)
            if step.name in model.outputs.steps:
                kept[name] = "its channels are the logits, which stay"
            for reader, reading in model.readers[step.name]:
                if isinstance(reader, LayerStage) and reading is not reader.skip:
                    continue
                if isinstance(reader, Reshaping | Gathering) and not reader.keeps_channels:
                    kept[name] = f"its channels are indexed in forward ({reader.name}): they stay"
                elif reader not in seen:
                    open_steps.append(reader)
    return kept


def _importance(layer: LayerStage) -> torch.Tensor:
    """Return how much each output channel matters, 1 in the mean: (O,)."""
    if layer.norm is not None and layer.norm.affine:
        importance = layer.norm.weight.detach().abs().double()
    else:
        importance = layer.module.weight.detach().flatten(1).double().norm(dim=1)
    return importance / importance.mean().clamp_min(1e-12)


@contextlib.contextmanager
def _following(network: nn.Module, optimizer: torch.optim.Optimizer | None) -> Iterator[None]:
    """Let parameters, buffers and an optimizer's state follow what is pruned in between.

    Inside, every parameter and buffer of a channel's size holds the positions of its own
    elements, so that what is left of them says which elements stay.
    """
    parameters = dict(network.named_parameters())
    buffers = {name: each for name, each in network.named_buffers() if each.dim()}
    values = {name: each.data for name, each in (parameters | buffers).items()}
    for name, each in (parameters | buffers).items():
        each.grad = None
        each.data = (
            torch.arange(values[name].numel(), device=values[name].device)
            .reshape(values[name].shape)
            .double()
        )  # exact to 2^53
    try:
        yield
    finally:
        left = {**dict(network.named_parameters()), **dict(network.named_buffers())}
        for name, value in values.items():
            stay = left[name].data.long()
            if name in buffers:
                _put(network, name, _taken(value, stay))
                continue
            parameter = parameters[name]
            if optimizer is not None:
                _take_state(optimizer, parameter, value.shape, stay)
            parameter.data = _taken(value, stay)
            _put(network, name, parameter)


def _taken(value: torch.Tensor, stay: torch.Tensor) -> torch.Tensor:
    return value if stay.shape == value.shape else value.reshape(-1)[stay]


def _put(network: nn.Module, name: str, value: torch.Tensor) -> None:
    path, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(path), attribute, value)


def _check_state(network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Refuse a state that says nothing about single elements, such as Adafactor's."""
    for name, parameter in network.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            elements = isinstance(value, torch.Tensor) and value.numel() > 1
            if elements and value.shape != parameter.shape:
                raise PrepareError(
                    f"{name}: what {type(optimizer).__name__} keeps for it as {key} has shape "
                    f"{tuple(value.shape)} and cannot lose channels: use an optimizer such as Adam"
                )


def _take_state(
    optimizer: torch.optim.Optimizer,
    parameter: nn.Parameter,
    shape: torch.Size,
    stay: torch.Tensor,
) -> None:
    """Slice what an optimizer keeps for a parameter, such as Adam's moments."""
    state = optimizer.state.get(parameter, {})
    for key, value in state.items():
        if isinstance(value, torch.Tensor) and value.shape == shape and stay.shape != shape:
            state[key] = _taken(value, stay)
