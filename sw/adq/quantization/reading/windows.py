"""Operators of windows: maximum and average pooling, and means over height and width.

Kernel, stride and padding are over height and width; (1, k) over a length.
"""

from typing import NamedTuple

import torch
from torch import fx, nn

from adq.quantization.reading import operations as ops
from adq.quantization.reading.movement import Moved
from adq.quantization.reading.tensors import Arguments, Tensors, pair, result_shape


class _Windows(NamedTuple):
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


def _windows(node: fx.Node, given: Arguments) -> _Windows:
    kernel, padding = given["kernel_size"], given["padding"]
    stride = given["stride"] or kernel
    if len(result_shape(node)) == 3:
        kernel, stride, padding = (pair(each)[0] for each in (kernel, stride, padding))
        return _Windows((1, kernel), (1, stride), (0, padding))
    return _Windows(pair(kernel), pair(stride), pair(padding))


def max_pool(tensors: Tensors, node: fx.Node, given: Arguments) -> Moved | tuple[Moved]:
    """Read maximum pooling."""
    windows = _windows(node, given)
    tensors.check(
        pair(given["dilation"]) == (1, 1),
        node,
        "maximum pooling with dilation has no integer form",
        "leave the dilation out",
    )
    source = tensors.value(node, given["input"])
    if given["ceil_mode"]:
        source = _grown(source, windows)
    result = tensors.add(
        node, ops.MaxPool, **windows._asdict(), inputs=(tensors.tensor(node, source),)
    )  # fmt: skip
    return result if isinstance(node.meta["val"], torch.Tensor) else (result,)


def _grown(source: Moved, windows: _Windows) -> Moved:
    """Repeat the last row and column, so that windows that reach beyond them are whole.

    Each such window has its image's last element in it, so that its largest stays.
    """
    positions = source.where()
    for axis in range(len(source.shape) - 2):
        place = axis + 4 - len(source.shape)
        size = source.shape[2 + axis]
        k, s, p = windows.kernel[place], windows.stride[place], windows.padding[place]
        count = -(-(size + 2 * p - k) // s) + 1
        if (count - 1) * s >= size + p:
            count -= 1
        more = max(0, (count - 1) * s + k - size - 2 * p)
        index = torch.arange(size + more).clamp_max(size - 1)
        positions = positions.index_select(2 + axis, index)
    return source if positions.shape == source.shape else source.moved(positions)


def average_pool(tensors: Tensors, node: fx.Node, given: Arguments) -> Moved:
    """Read average pooling, whose windows all have one divisor."""
    kernel, stride, padding = _windows(node, given)
    source = tensors.value(node, given["input"])
    sides = (1, *source.shape[2:]) if len(source.shape) == 3 else tuple(source.shape[2:])
    divisor = given.get("divisor_override")
    tensors.check(
        divisor is not None or given["count_include_pad"] or not any(padding),
        node,
        "average pooling with count_include_pad=False divides windows at the border by less",
        "set count_include_pad=True, so that all windows have one divisor",
    )
    if given["ceil_mode"]:
        fits = [
            (side + 2 * p - k) % s == 0
            for side, k, s, p in zip(sides, kernel, stride, padding, strict=True)
        ]
        tensors.check(
            all(fits),
            node,
            "average pooling with ceil_mode divides windows that reach beyond the image by less",
            "leave ceil_mode out, or choose a kernel and stride that fit the image",
        )
    if any(padding):
        ends = [end for p in reversed(padding[4 - len(source.shape) :]) for end in (p, p)]
        source = source.moved(nn.functional.pad(source.where(), ends))
    count = kernel[0] * kernel[1]
    return tensors.add(
        node, ops.AveragePool, kernel=kernel, stride=stride,
        divisor=int(divisor) if divisor is not None else count,
        inputs=(tensors.tensor(node, source),),
    )  # fmt: skip


def _adaptive_windows(tensors: Tensors, node: fx.Node, given: Arguments) -> tuple[int, int]:
    source = tensors.value(node, given["input"])
    sides, outputs = tuple(source.shape[2:]), tuple(result_shape(node)[2:])
    tensors.check(
        all(side % output == 0 for side, output in zip(sides, outputs, strict=True)),
        node,
        f"images of {sides} do not divide into {outputs} equal windows",
        "choose an output size that divides them, such as 1",
    )
    return _over_two([side // output for side, output in zip(sides, outputs, strict=True)])


def adaptive_average_pool(tensors: Tensors, node: fx.Node, given: Arguments) -> Moved:
    """Read average pooling to a given size, where windows are equal."""
    kernel = _adaptive_windows(tensors, node, given)
    return tensors.add(
        node, ops.AveragePool, kernel=kernel, stride=kernel, divisor=kernel[0] * kernel[1]
    )


def adaptive_max_pool(tensors: Tensors, node: fx.Node, given: Arguments) -> tuple[Moved]:
    """Read maximum pooling to a given size, where windows are equal."""
    kernel = _adaptive_windows(tensors, node, given)
    return (tensors.add(node, ops.MaxPool, kernel=kernel, stride=kernel, padding=(0, 0)),)


def mean(tensors: Tensors, node: fx.Node, given: Arguments) -> Moved:
    """Read a mean over height, width or both."""
    source = tensors.value(node, given["input"])
    rank = len(source.shape)
    dimensions = {each % rank for each in given.get("dim") or ()}
    tensors.check(
        rank >= 3 and bool(dimensions) and min(dimensions, default=0) >= 2,
        node,
        "a mean that is not over height and width has no integer form",
        "write x.mean((2, 3)), or use AdaptiveAvgPool2d(1)",
    )
    kernel = _over_two(
        [side if 2 + axis in dimensions else 1 for axis, side in enumerate(source.shape[2:])]
    )
    pooled = [side if axis not in dimensions else 1 for axis, side in enumerate(source.shape)]
    return tensors.add(
        node, ops.AveragePool, shape=tensors.form(node, torch.Size(pooled)),
        suffix="" if given["keepdim"] else "_pool", kernel=kernel, stride=kernel,
        divisor=kernel[0] * kernel[1],
    )  # fmt: skip


def _over_two(sides: list[int]) -> tuple[int, int]:
    """Return sides over height and width, of which a length has one."""
    return (1, sides[0]) if len(sides) == 1 else (sides[0], sides[1])
