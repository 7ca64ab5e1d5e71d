"""Operators of one tensor: convolutions, linear layers, batch norm, activation functions."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from adq.quantization.reading import operations as ops
from adq.quantization.reading.movement import Moved
from adq.quantization.reading.tensors import OTHERWISE, Arguments, Tensors, operator_name, pair
from adq.quantization.reading.tracing import operator_of


def convolution(tensors: Tensors, node: fx.Node, given: Arguments) -> Moved:
    """Read a convolution over two axes, or over one."""
    path = tensors.module(
        node, (nn.Conv2d, nn.Conv1d), weight=given["weight"], bias=given["bias"]
    )  # fmt: skip
    module = cast("nn.Conv1d | nn.Conv2d", tensors.graph.network.get_submodule(path))
    own = {"stride": pair(module.stride), "dilation": pair(module.dilation)}
    for argument, value in own.items():
        tensors.check(
            pair(given[argument]) == value and given["groups"] == module.groups,
            node,
            f"its {argument} or groups are not those of {path}",
            "call the module itself",
        )
    source = tensors.value(node, given["input"])
    if isinstance(given["padding"], str):
        source, padding = _padded_same(source, module, given["padding"])
    else:
        padding = pair(given["padding"])
    if module.weight.dim() == 3:
        padding = (0, padding[0])
    return tensors.add(
        node, ops.Layer, name=path, module=module, padding=padding,
        inputs=(tensors.tensor(node, source),),
    )  # fmt: skip


def _padded_same(
    source: Moved, module: nn.Conv1d | nn.Conv2d, padding: str
) -> tuple[Moved, tuple[int, int]]:
    """Return images and the padding that is the same at both ends; the rest of it stands in
    them.
    """
    if padding == "valid":
        return source, (0, 0)
    totals = [
        step * (side - 1) for step, side in zip(module.dilation, module.kernel_size, strict=True)
    ]
    if any(total % 2 for total in totals):
        ends = [end for total in reversed(totals) for end in (0, total % 2)]
        source = source.moved(nn.functional.pad(source.where(), ends))
    return source, pair([total // 2 for total in totals])


def linear(tensors: Tensors, node: fx.Node, given: Arguments) -> Moved:
    """Read a linear layer."""
    path = tensors.module(node, (nn.Linear,), weight=given["weight"], bias=given["bias"])
    source = tensors.value(node, given["input"])
    tensors.check(
        len(source.shape) == 2,
        node,
        f"a linear layer on a tensor of shape {tuple(source.shape)} has no integer form",
        "flatten images first, with torch.flatten(x, 1), or use a 1x1 convolution",
    )
    module = tensors.graph.network.get_submodule(path)
    return tensors.add(
        node, ops.Layer, name=path, module=module, padding=(0, 0),
        inputs=(tensors.tensor(node, source),),
    )  # fmt: skip


def norm(tensors: Tensors, node: fx.Node, given: Arguments) -> tuple[Moved]:
    """Read a batch norm with running statistics."""
    path = tensors.module(
        node, (_BatchNorm,), running_mean=given["running_mean"],
        running_var=given["running_var"], weight=given["weight"], bias=given["bias"],
    )  # fmt: skip
    module = tensors.graph.network.get_submodule(path)
    tensors.check(given["eps"] == module.eps, node, "its eps is not the module's", "use its own")
    return (tensors.add(node, ops.Norm, module=module),)


def norm_of_batch(tensors: Tensors, node: fx.Node, given: Arguments) -> Moved:
    """Refuse a batch norm that has no running statistics."""
    raise tensors.refusal(
        node,
        "batch norm without running statistics changes with every batch",
        "set track_running_stats=True",
    )


def relu(tensors: Tensors, node: fx.Node, given: Arguments) -> Moved:
    """Read a ReLU."""
    return tensors.add(node, ops.Relu)


def clipped(tensors: Tensors, node: fx.Node, given: Arguments) -> Moved:
    """Read a clamp, which is a ReLU with a limit where it begins at 0."""
    lo, hi = (
        (0.0, 6.0)
        if operator_name(node) == "relu6"
        else (given.get("min_val", given.get("min")), given.get("max_val", given.get("max")))
    )
    if any(isinstance(each, fx.Node) for each in (lo, hi)):
        raise tensors.refusal(node, "limits that are tensors have no integer form", "use numbers")
    if lo == 0 and (hi is None or hi > 0):
        return tensors.add(node, ops.Relu, limit=None if hi is None else float(hi))
    return elementwise(tensors, node)


def elementwise(tensors: Tensors, node: fx.Node) -> Moved:
    """Read a function of single elements, which becomes a table."""
    tensors.check(
        len(node.all_input_nodes) == 1 and isinstance(node.args[0], fx.Node),
        node,
        f"{operator_name(node)} of more than one tensor has no integer form",
        OTHERWISE,
    )
    call = cast("Callable[..., torch.Tensor]", operator_of(node))
    function = functools.partial(_apply, call, tuple(node.args[1:]), dict(node.kwargs))
    return tensors.add(node, ops.Activation, function=function)


def _apply(
    call: Callable[..., torch.Tensor],
    args: tuple[object, ...],
    kwargs: Mapping[str, Any],
    x: torch.Tensor,
) -> torch.Tensor:
    """Call an operator on a tensor, with what else it takes."""
    return call(x, *args, **kwargs)
