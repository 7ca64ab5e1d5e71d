"""Reads what moves elements: shapes and concatenation."""

import dataclasses
import functools
import math

import numpy as np

from adq.golden.exchange.integers import bounded
from adq.golden.exchange.opening import Operator
from adq.golden.exchange.operators.context import Context
from adq.golden.exchange.values import (
    Codes,
    Grid,
    Joined,
    Move,
    Pending,
    Source,
    Tabled,
    Value,
    Weights,
    making,
)
from adq.golden.nodes import Flatten, Node, Reshape


def flatten(context: Context, operator: Operator) -> Value:
    """Read a Flatten of everything but N."""
    (axis,) = operator.take(axis=1)
    value = movable(context, operator)
    if context.axes(operator, [axis], value.shape) != [1]:
        raise operator.error(f"flattens from axis {axis} on: from axis 1 on is understood")
    return _shaped(context, operator, value, (math.prod(value.shape),))


def reshape(context: Context, operator: Operator) -> Value:
    """Read a Reshape that leaves N alone."""
    (whole,) = operator.take(allowzero=0)
    wanted = context.required(operator, 1, "shape").reshape(-1).tolist()
    value = movable(context, operator)
    shape = value.shape
    if len(wanted) < 2 or wanted[0] not in (-1, 0, 1) or wanted.count(-1) > 1:
        raise operator.error(f"reshapes to {wanted}: the first side must be that of the images")
    sides = [
        shape[place] if side == 0 and not whole and place < len(shape) else side
        for place, side in enumerate(wanted[1:])
    ]
    if -1 in sides:
        known = math.prod(side for side in sides if side != -1)
        sides[sides.index(-1)] = math.prod(shape) // max(known, 1)
    if len(sides) > 1:
        if context.image_rank not in (None, len(wanted)):
            raise operator.error(f"turns {shape} into {wanted}: images and lengths in one network")
        context.image_rank = len(wanted)
    if len(sides) == 2:
        sides = [sides[0], 1, sides[1]]
    if len(sides) not in (1, 3) or math.prod(sides) != math.prod(shape) or min(sides) < 1:
        raise operator.error(f"reshapes {shape} to {wanted}, which is no image and no vector")
    return _shaped(context, operator, value, tuple(sides))


def squeeze(context: Context, operator: Operator) -> Value:
    """Read a Squeeze or an Unsqueeze of height and width."""
    (axes,) = operator.take(axes=None)
    given = context.constant(operator, 1, "axes")
    axes = given.reshape(-1).tolist() if given is not None else list(axes or ())
    value = movable(context, operator)
    shape, adding = value.shape, operator.kind == "Unsqueeze"
    rank = context.image_rank or 4
    if all(-rank <= axis < rank for axis in axes) and len(shape) == (1 if adding else 3):
        inner = sorted(axis % rank for axis in axes) == list(range(2, rank))
        if inner and adding:
            return _shaped(context, operator, value, (shape[0], 1, 1))
        if inner and shape[1:] == (1, 1):
            return _shaped(context, operator, value, (shape[0],))
    raise operator.error(f"of axes {axes} on shape {shape}: use Flatten or Reshape")


def identity(context: Context, operator: Operator) -> Value:
    """Read what changes nothing in evaluation: Identity, Dropout."""
    training = context.constant(operator, 2, "training mode")
    if training is not None and training.any():
        raise operator.error("is in training mode: export the network in evaluation")
    return context.value(operator, 0)


def transpose(context: Context, operator: Operator) -> Weights:
    """Read a Transpose of weights."""
    value = context.value(operator, 0)
    if not isinstance(value, Weights):
        raise operator.error("turns activations: weights alone are turned")
    (order,) = operator.take(perm=None)
    axes = tuple(range(value.integers.ndim))
    order = axes[::-1] if order is None else order
    if sorted(order) != list(axes):
        raise operator.error(f"has perm={order} for a tensor of shape {value.integers.shape}")
    return value.transposed(order)


def concatenation(context: Context, operator: Operator) -> Joined | Codes:
    """Read a Concat along the channels."""
    (axis,) = operator.take(axis=None)
    values: list[Codes | Pending | Grid] = []
    for place in range(len(operator.inputs)):
        value = context.value(operator, place)
        values.append(
            value if isinstance(value, Codes | Pending) else context.grid(operator, place)
        )
    shapes = [value.shape for value in values]
    channels = sum(shape[0] for shape in shapes)
    bounded((channels, *shapes[0][1:]), operator.name)
    same = len({shape[1:] for shape in shapes}) == 1 and axis is not None
    if not same or context.axes(operator, [axis], shapes[0]) != [1]:
        raise operator.error(f"joins {shapes} along axis {axis}: along the channels is understood")
    codes = [value for value in values if isinstance(value, Codes)]
    numbers = [value for value in values if not isinstance(value, Codes)]
    if not numbers:
        if len({each.base for each in codes}) != 1:
            raise operator.error("joins integers of several zero points: quantize them with one")
        return context.builder.join(codes, operator.name, scale=1.0, zero=codes[0].base)
    if codes:
        raise operator.error("joins integers and numbers in floating point")
    return Joined(name=operator.name, parts=tuple(numbers), shape=(channels, *shapes[0][1:]))


def softmax(context: Context, operator: Operator) -> Value:
    """Read a softmax, which changes no class, at the end of a network."""
    (axis,) = operator.take(axis=-1)
    value = context.value(operator, 0)
    if not isinstance(value, Grid | Pending):
        value = context.grid(operator)
    inside = operator.output not in context.graph.outputs
    if inside or context.axes(operator, [axis], value.shape) != [1]:
        raise operator.error("stands within the network, or not along the channels")
    context.notes.append(f"{operator.kind} {operator.name} at the end is left out: same classes")
    return value


def flattening(value: Pending) -> Pending:
    """Return a value whose integers will be flattened."""
    size = (math.prod(value.shape),)
    move = Move(name=f"{value.name}.flat", make=making(Flatten))
    return dataclasses.replace(value, shape=size, moves=(*value.moves, move))


def movable(context: Context, operator: Operator) -> Grid | Codes | Pending:
    """Return an operator's first input, whose elements can be moved."""
    value = context.value(operator, 0)
    if isinstance(value, Tabled | Source | Weights | Joined):
        return context.grid(operator)  # says why not
    if isinstance(value, np.ndarray):
        raise operator.error("reads a constant")
    return value


def _shaped(
    context: Context, operator: Operator, value: Grid | Codes | Pending, shape: tuple[int, ...]
) -> Value:
    if shape == value.shape:
        return value
    make: functools.partial[Node] = making(Flatten)
    if len(shape) > 1:
        make = making(Reshape, to=shape)
    return moved(context, operator, value, make)


def moved(
    context: Context,
    operator: Operator,
    value: Grid | Codes | Pending,
    make: functools.partial[Node],
) -> Value:
    """Return a value whose elements a node of the network moves."""
    move = Move(name=operator.name, make=make)
    if isinstance(value, Pending):
        shape = make(name="trial", input=value.name).output_shape(value.shape)
        return dataclasses.replace(value, shape=shape, moves=(*value.moves, move))
    builder = context.builder
    tensor = builder.moved(value.tensor, (move,))
    result = dataclasses.replace(value, tensor=tensor, shape=builder.shapes[tensor])
    return builder.know(result, operator.output) if isinstance(result, Grid) else result


SHAPES = {
    "Flatten": flatten,
    "Reshape": reshape,
    "Squeeze": squeeze,
    "Unsqueeze": squeeze,
    "Identity": identity,
    "Dropout": identity,
    "Transpose": transpose,
    "Concat": concatenation,
    "Softmax": softmax,
    "LogSoftmax": softmax,
}
"""Operators that move elements."""
