"""Reads windows that slide over images: their sides, their padding, maximum pooling."""

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np

from adq.golden.exchange.integers import bounded
from adq.golden.exchange.opening import MAXIMUM_ELEMENTS, Operator
from adq.golden.exchange.operators.context import Context
from adq.golden.exchange.operators.shapes import movable, moved
from adq.golden.exchange.values import Grid, Value, making
from adq.golden.nodes import Concat, Flatten, Gather, MaxPool2d, Rescale, Reshape
from adq.golden.requantize import Requantize

Pair = tuple[int, int]

Pads = tuple[int, int, int, int]
"""Elements above, left, below and right of an image."""


class Window(NamedTuple):
    """A window that slides over images: sides over height and width."""

    kernel: Pair
    stride: Pair
    pads: Pads
    dilation: Pair
    more: list[Any]
    """Further attributes, as ``Operator.take`` gives them."""


def window(
    context: Context,
    operator: Operator,
    shape: tuple[int, ...],
    *,
    kernel: tuple[int, ...] | None = None,
    **more: int,
) -> Window:
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

    def pair(values: tuple[int, ...]) -> Pair:
        values = (1, *values) if is_length and len(values) == 1 else values
        if len(values) != 2:
            raise operator.error(f"has {values} where height and width are expected")
        return values[0], values[1]

    kernel = kernel if given is None else given
    if kernel is None:
        raise operator.error("has no kernel_shape")
    sides = pair(kernel)
    stride, dilation = ((1, 1) if each is None else pair(each) for each in (strides, dilations))
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
    return Window(sides, stride, pads, dilation, rest)


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
    element = Gather(
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
    first = builder.append(element)
    zero = builder.append(
        Rescale(name=builder.unique(f"{name}.zero"), input=first, requantize=nothing)
    )
    joined = builder.append(
        Concat(name=builder.unique(f"{name}.joined"), input=flat, others=(zero,))
    )
    last = math.prod(grid.shape)
    inside = np.arange(last).reshape(grid.shape)[:, np.maximum(rows, 0)][
        :, :, np.maximum(columns, 0)
    ]
    outside = (rows < 0)[:, None] | (columns < 0)
    choice = Gather(
        name=builder.unique(f"{name}.chosen"),
        input=joined,
        channels=np.where(outside, last, inside).reshape(-1),
        rows=None,
        columns=None,
    )
    chosen = builder.append(choice)
    to = (channels, len(rows), len(columns))
    return builder.append(Reshape(name=builder.unique(f"{name}.pad"), input=chosen, to=to))


def max_pool(context: Context, operator: Operator) -> Value:
    """Read a MaxPool: the largest integer is the largest number."""
    value = movable(context, operator)
    sides, stride, pads, dilation, _ = window(context, operator, value.shape, storage_order=0)
    if dilation != (1, 1) or pads[:2] != pads[2:]:
        raise operator.error("is dilated, or padded at one side more than at the other")
    make = making(MaxPool2d, kernel=sides, stride=stride, padding=pads[:2])
    return moved(context, operator, value, make)


def global_max_pool(context: Context, operator: Operator) -> Value:
    """Read a GlobalMaxPool."""
    operator.take()
    value = movable(context, operator)
    if len(value.shape) != 3:
        raise operator.error(f"pools a tensor of shape {value.shape}: images are understood")
    sides = (value.shape[1], value.shape[2])
    make = making(MaxPool2d, kernel=sides, stride=sides, padding=(0, 0))
    return moved(context, operator, value, make)


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


def _around(side: int, before: int, after: int) -> np.ndarray:
    return np.concatenate([np.full(before, -1), np.arange(side), np.full(after, -1)])


def _same(
    shape: tuple[int, ...], reach: list[int], stride: tuple[int, int], *, upper: bool
) -> Pads:
    """Return the padding with which the output has the image's sides over the stride."""
    total = [
        max((math.ceil(side / step) - 1) * step + width - side, 0)
        for side, width, step in zip(shape[1:], reach, stride, strict=True)
    ]
    less, more = [each // 2 for each in total], [each - each // 2 for each in total]
    first, last = (less, more) if upper else (more, less)
    return first[0], first[1], last[0], last[1]


def _is_cut(shape: tuple[int, ...], reach: list[int], stride: tuple[int, int], pads: Pads) -> bool:
    """Return whether rounding up gives more windows than rounding down."""
    return any(
        (shape[axis + 1] + pads[axis] + pads[axis + 2] - reach[axis]) % stride[axis]
        for axis in (0, 1)
    )


WINDOWS = {
    "MaxPool": max_pool,
    "GlobalMaxPool": global_max_pool,
    "Pad": pad,
}
"""Operators of windows, and padding."""
