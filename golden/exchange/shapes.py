"""Reads what moves elements: pooling, shapes, padding, concatenation."""

import dataclasses
import functools
import math

import numpy as np

from adq.golden.exchange.context import Context
from adq.golden.exchange.integers import bounded
from adq.golden.exchange.opening import MAXIMUM_ELEMENTS, Operator
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
)
from adq.golden.nodes import Concat, Flatten, Gather, MaxPool2d, Rescale, Reshape
from adq.golden.requantize import Requantize

Pads = tuple[int, int, int, int]
"""Elements above, left, below and right of an image."""


def window(
    context: Context, operator: Operator, shape: tuple[int, ...], *, kernel=None, **more: int
):
    """Return kernel, stride, pads and dilation of a sliding window, and further attributes.

    Lengths count as images of one row.

    Raises
    ------
    ExchangeError
        It does not slide over (C, H, W), or by rules that have no integer form.

    """
    given, strides, pads, dilations, mode, ceil, *rest = operator.take(
        kernel_shape=None, strides=None, pads=None, dilations=None, auto_pad="NOTSET",
        ceil_mode=0, **more,
    )  # fmt: skip
    if len(shape) != 3:
        raise operator.error(f"slides over a tensor of shape {shape}: images are understood")
    is_length = context.rank(shape) == 3

    def pair(values: tuple[int, ...] | None, default: tuple[int, ...]):
        if values is None:
            return default
        values = (1, *values) if is_length and len(values) == 1 else values
        if len(values) != 2:
            raise operator.error(f"has {values} where height and width are expected")
        return values

    if given is None and kernel is None:
        raise operator.error("has no kernel_shape")
    sides = pair(given, kernel)
    stride, dilation = pair(strides, (1, 1)), pair(dilations, (1, 1))
    if min(*sides, *stride, *dilation) < 1:
        raise operator.error("has a kernel, a stride or a dilation below 1")
    reach = [step * (side - 1) + 1 for side, step in zip(sides, dilation, strict=True)]
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        pads = _same(shape, reach, stride, upper=mode == "SAME_UPPER")
    elif mode not in ("NOTSET", "VALID"):
        raise operator.error(f"has auto_pad={mode}")
    pads = (0, 0, 0, 0) if pads is None or mode == "VALID" else tuple(pads)
    pads = (0, pads[0], 0, pads[1]) if is_length and len(pads) == 2 else pads
    if len(pads) != 4 or min(pads) < 0:
        raise operator.error(f"has pads of {pads}")
    if max(pads) > MAXIMUM_ELEMENTS:
        raise operator.error(f"has pads of {pads}")
    if ceil and _is_cut(shape, reach, stride, pads):
        raise operator.error("has ceil_mode where windows are cut: use a kernel that fits")
    return sides, stride, pads, dilation, rest


def padded(context: Context, operator: Operator, grid: Grid, pads: Pads) -> Grid:
    """Return a tensor with the number 0 around it, as nodes of their own."""
    if not any(pads):
        return grid
    channels, height, width = grid.shape
    bounded((channels, height + pads[0] + pads[2], width + pads[1] + pads[3]), operator.name)
    builder, rows, columns = (
        context.builder,
        _around(height, *pads[::2]),
        _around(width, *pads[1::2]),
    )
    if builder.can_be_centred(grid):
        grid = builder.centred(grid)
        node = Gather(
            name=builder.unique(f"{operator.name}.pad"),
            input=grid.tensor,
            channels=np.arange(channels),
            rows=rows,
            columns=columns,
        )
        tensor = builder.append(node)
    else:
        tensor = _surrounded(context, operator.name, grid, rows, columns)
    return dataclasses.replace(grid, tensor=tensor, shape=builder.shapes[tensor])


def _surrounded(
    context: Context, name: str, grid: Grid, rows: np.ndarray, columns: np.ndarray
) -> str:
    """Return a tensor with its own zero point around it, where that needs all of its bits.

    The zero point is one more element of the tensor as a vector, of which the padding is chosen.
    """
    builder, channels = context.builder, grid.shape[0]
    flat = builder.append(Flatten(name=builder.unique(f"{name}.flat"), input=grid.tensor))
    first = Gather(
        name=builder.unique(f"{name}.any"),
        input=flat,
        channels=np.zeros(1, np.int64),
        rows=None,
        columns=None,
    )
    nothing = Requantize(
        multiplier=np.zeros(1, np.int64),
        shift=0,
        format=builder.formats[grid.tensor],
        offset=np.array([grid.zero]),
    )
    first = builder.append(first)
    zero = builder.append(
        Rescale(name=builder.unique(f"{name}.zero"), input=first, requantize=nothing)
    )
    joined = Concat(name=builder.unique(f"{name}.joined"), input=flat, others=(zero,))
    joined = builder.append(joined, [builder.shapes[flat], (1,)])
    last = math.prod(grid.shape)
    inside = np.arange(last).reshape(grid.shape)[:, np.maximum(rows, 0)][
        :, :, np.maximum(columns, 0)
    ]
    outside = (rows < 0)[:, None] | (columns < 0)
    chosen = Gather(
        name=builder.unique(f"{name}.chosen"),
        input=joined,
        channels=np.where(outside, last, inside).reshape(-1),
        rows=None,
        columns=None,
    )
    chosen = builder.append(chosen)
    to = (channels, len(rows), len(columns))
    return builder.append(Reshape(name=builder.unique(f"{name}.pad"), input=chosen, to=to))


def max_pool(context: Context, operator: Operator) -> Value:
    """Read a MaxPool: the largest integer is the largest number."""
    value = _any(context, operator)
    sides, stride, pads, dilation, _ = window(context, operator, value.shape, storage_order=0)
    if dilation != (1, 1) or pads[:2] != pads[2:]:
        raise operator.error("is dilated, or padded at one side more than at the other")
    make = functools.partial(MaxPool2d, kernel=sides, stride=stride, padding=pads[:2])
    return _moved(context, operator, value, make)


def global_max_pool(context: Context, operator: Operator) -> Value:
    """Read a GlobalMaxPool."""
    operator.take()
    value = _any(context, operator)
    sides = value.shape[1:]
    make = functools.partial(MaxPool2d, kernel=sides, stride=sides, padding=(0, 0))
    return _moved(context, operator, value, make)


def flatten(context: Context, operator: Operator) -> Value:
    """Read a Flatten of everything but N."""
    (axis,) = operator.take(axis=1)
    value = _any(context, operator)
    if context.axes(operator, [axis], value.shape) != [1]:
        raise operator.error(f"flattens from axis {axis} on: from axis 1 on is understood")
    return _shaped(context, operator, value, (math.prod(value.shape),))


def reshape(context: Context, operator: Operator) -> Value:
    """Read a Reshape that leaves N alone."""
    (whole,) = operator.take(allowzero=0)
    wanted = context.required(operator, 1, "shape").reshape(-1).tolist()
    value = _any(context, operator)
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
    value = _any(context, operator)
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


def pad(context: Context, operator: Operator) -> Grid:
    """Read a Pad with the number 0 around height and width."""
    mode, *_ = operator.take(mode="constant")
    pads = context.required(operator, 1, "pads").reshape(-1).tolist()
    filled = context.constant(operator, 2, "constant")
    if mode != "constant" or (filled is not None and filled.size and filled.any()):
        raise operator.error("pads with something else than zeros")
    if len(operator.inputs) > 3 and operator.inputs[3]:
        raise operator.error("has axes: give pads of all axes")
    grid = context.grid(operator)
    if len(pads) != 8 or len(grid.shape) != 3 or any((*pads[:2], *pads[4:6])) or min(pads) < 0:
        raise operator.error(f"has pads of {pads}: height and width of images are padded")
    return padded(context, operator, grid, (pads[2], pads[3], pads[6], pads[7]))


def concatenation(context: Context, operator: Operator) -> Joined | Codes:
    """Read a Concat along the channels."""
    (axis,) = operator.take(axis=None)
    values = [context.value(operator, place) for place in range(len(operator.inputs))]
    for place, value in enumerate(values):
        if not isinstance(value, Codes | Pending):
            values[place] = context.grid(operator, place)
    shapes = [value.shape for value in values]
    channels = sum(shape[0] for shape in shapes)
    bounded((channels, *shapes[0][1:]), operator.name)
    same = len({shape[1:] for shape in shapes}) == 1 and axis is not None
    if not same or context.axes(operator, [axis], shapes[0]) != [1]:
        raise operator.error(f"joins {shapes} along axis {axis}: along the channels is understood")
    if all(isinstance(value, Codes) for value in values):
        if len({value.base for value in values}) != 1:
            raise operator.error("joins integers of several zero points: quantize them with one")
        return context.builder.join(values, operator.name, scale=1.0, zero=values[0].base)
    if any(isinstance(value, Codes) for value in values):
        raise operator.error("joins integers and numbers in floating point")
    return Joined(name=operator.name, parts=tuple(values), shape=(channels, *shapes[0][1:]))


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
    move = Move(name=f"{value.name}.flat", make=functools.partial(Flatten))
    return dataclasses.replace(value, shape=size, moves=(*value.moves, move))


def _any(context: Context, operator: Operator) -> Grid | Codes | Pending:
    value = context.value(operator, 0)
    if isinstance(value, Tabled | Source | Weights | Joined) or not hasattr(value, "shape"):
        return context.grid(operator)  # says why not
    if isinstance(value, np.ndarray):
        raise operator.error("reads a constant")
    return value


def _shaped(
    context: Context, operator: Operator, value: Grid | Codes | Pending, shape: tuple[int, ...]
) -> Value:
    if shape == value.shape:
        return value
    flat = len(shape) == 1
    make = functools.partial(Flatten) if flat else functools.partial(Reshape, to=shape)
    return _moved(context, operator, value, make)


def _moved(
    context: Context, operator: Operator, value: Grid | Codes | Pending, make: functools.partial
) -> Value:
    move = Move(name=operator.name, make=make)
    if isinstance(value, Pending):
        shape = make(name="trial", input=value.name).output_shape(value.shape)
        return dataclasses.replace(value, shape=shape, moves=(*value.moves, move))
    builder = context.builder
    tensor = builder.moved(value.tensor, (move,))
    result = dataclasses.replace(value, tensor=tensor, shape=builder.shapes[tensor])
    return builder.know(result, operator.output) if isinstance(result, Grid) else result


def _around(side: int, before: int, after: int) -> np.ndarray:
    return np.concatenate([np.full(before, -1), np.arange(side), np.full(after, -1)])


def _same(shape: tuple[int, ...], reach: list[int], stride: tuple[int, int], *, upper: bool):
    """Padding with which the output has the image's sides over the stride."""
    total = [
        max((math.ceil(side / step) - 1) * step + width - side, 0)
        for side, width, step in zip(shape[1:], reach, stride, strict=True)
    ]
    less, more = [each // 2 for each in total], [each - each // 2 for each in total]
    return (*less, *more) if upper else (*more, *less)


def _is_cut(shape: tuple[int, ...], reach: list[int], stride: tuple[int, int], pads: Pads) -> bool:
    """Whether rounding up gives more windows than rounding down."""
    return any(
        (shape[axis + 1] + pads[axis] + pads[axis + 2] - reach[axis]) % stride[axis]
        for axis in (0, 1)
    )


SHAPES = {
    "MaxPool": max_pool,
    "GlobalMaxPool": global_max_pool,
    "Flatten": flatten,
    "Reshape": reshape,
    "Squeeze": squeeze,
    "Unsqueeze": squeeze,
    "Identity": identity,
    "Dropout": identity,
    "Transpose": transpose,
    "Pad": pad,
    "Concat": concatenation,
    "Softmax": softmax,
    "LogSoftmax": softmax,
}
"""Operators that move elements."""
