"""Operators of several tensors, and those that only move elements."""

import torch
from torch import fx

from adq.quantization.reading import operations as ops
from adq.quantization.reading.movement import Moved
from adq.quantization.reading.tensors import OTHERWISE, Arguments, Tensors
from adq.quantization.reading.tracing import computed


def addition(tensors: Tensors, node: fx.Node, given: Arguments) -> Moved:
    """Read the sum of two tensors of one shape."""
    one, other = _both(tensors, given)
    if (
        not (isinstance(one, Moved) and isinstance(other, Moved) and one.shape == other.shape)
        or given["alpha"] != 1
    ):
        raise tensors.refusal(
            node,
            "an addition that is not of two tensors of one shape has no integer form",
            "add the outputs of two layers, and put constants into a bias",
        )
    inputs = (tensors.tensor(node, one), tensors.tensor(node, other))
    return tensors.add(node, ops.Add, inputs=inputs)


def product(tensors: Tensors, node: fx.Node, given: Arguments) -> Moved:
    """Read the product of two tensors, of which one may be a factor a channel."""
    large, small = _both(tensors, given)
    if not (isinstance(large, Moved) and isinstance(small, Moved)):
        raise tensors.refusal(
            node,
            "the function mul has no integer form for constants",
            "scale the weights of a layer instead",
        )
    if large.shape.numel() < small.shape.numel():
        large, small = small, large
    gates = large.shape[:2] == small.shape[:2] and all(side == 1 for side in small.shape[2:])
    same_rank = large.shape.numel() > 0 and len(large.shape) == len(small.shape)
    tensors.check(
        large.shape == small.shape or (gates and same_rank),
        node,
        f"a product of {tuple(large.shape)} and {tuple(small.shape)} has no integer form",
        "multiply tensors of one shape, or (N, C, H, W) with (N, C, 1, 1)",
    )
    inputs = (tensors.tensor(node, large), tensors.tensor(node, small))
    return tensors.add(node, ops.Multiply, inputs=inputs)


def _both(tensors: Tensors, given: Arguments) -> tuple[object, object]:
    """Return the values of an operator's two operands; None for a number."""
    operands = (given["input"], given["other"])
    one, other = (
        tensors.values.get(each) if isinstance(each, fx.Node) else None for each in operands
    )
    return one, other


def _concatenation(
    tensors: Tensors, node: fx.Node, parts: list[Moved], dimension: int
) -> Moved:  # fmt: skip
    tensors.check(
        dimension % len(parts[0].shape) == 1,
        node,
        "a concatenation that is not along the channels has no integer form",
        "write torch.cat(tensors, 1)",
    )
    inputs = tuple(tensors.tensor(node, part) for part in parts)
    return tensors.add(node, ops.Concat, inputs=inputs)


def movement(tensors: Tensors, node: fx.Node, name: str, given: Arguments) -> Moved | list[Moved]:
    """Run an operator that moves elements on their positions in place of the elements."""
    sources = [tensors.values.get(each) for each in node.all_input_nodes]
    for each, source in zip(node.all_input_nodes, sources, strict=True):
        if each in tensors.graph.tensors:
            raise tensors.computed(tensors.graph.tensors[each], name)
        tensors.check(
            isinstance(source, Moved | torch.Tensor),
            node,
            f"the function {name} has no integer form here",
            OTHERWISE,
        )
    moved = [each for each in sources if isinstance(each, Moved)]
    if name == "cat" and len({each.operation for each in moved}) > 1:
        values = [tensors.values[each] for each in given["tensors"]]
        parts = [each for each in values if isinstance(each, Moved)]
        tensors.check(
            len(parts) == len(values),
            node,
            "a concatenation of constants and more than one tensor has no integer form",
            "pad one tensor with zeros first",
        )
        return _concatenation(tensors, node, parts, given["dim"])
    tensors.check(
        len({each.operation for each in moved}) == 1,
        node,
        f"the function {name} of several tensors has no integer form",
        "write torch.cat(tensors, 1)",
    )
    if name in ("pad", "constant_pad_nd"):
        tensors.check(
            not given["value"],
            node,
            f"padding with {given['value']} has no integer form",
            "pad with zeros",
        )

    def positions(each: fx.Node) -> torch.Tensor:
        value = tensors.values[each]
        if isinstance(value, Moved):
            return value.where()
        if not isinstance(value, torch.Tensor):
            raise AssertionError(f"{each.name} is no tensor")
        if value.is_floating_point():
            tensors.check(
                not value.any(),
                node,
                "constants beside activations have no integer form unless they are zeros",
                "put constants into a bias",
            )
            return value.double()
        return value.cpu()

    try:
        result = computed(node, positions)
    except (RuntimeError, NotImplementedError):
        raise tensors.refusal(
            node, f"the function {name} has no integer form here", OTHERWISE
        ) from None
    if isinstance(result, torch.Tensor):
        return moved[0].moved(result)
    if not isinstance(result, list | tuple):
        raise AssertionError(f"{node.name} gives no tensors")
    return [moved[0].moved(each) for each in result]
