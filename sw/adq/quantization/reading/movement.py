"""Operators that only move elements: which element stands where, however they are written.

Slicing, indexing, splitting, permuting, shuffling channels, padding with zeros, repeating: each
runs on the positions of elements in place of the elements, so that a chain of them is one
statement: which element of an earlier tensor stands where, or that none does and it is zero.
"""

from dataclasses import dataclass, replace

import torch

MOVEMENTS = frozenset(
    (
        "view", "_unsafe_view", "view_copy", "reshape", "flatten",
        "unflatten", "permute", "permute_copy", "transpose", "transpose_copy",
        "t", "numpy_T", "movedim", "slice", "slice_copy",
        "select", "select_copy", "narrow", "index", "index_select",
        "split", "split_copy", "split_with_sizes", "split_with_sizes_copy", "chunk",
        "unbind", "tensor_split", "unsqueeze", "unsqueeze_copy", "squeeze",
        "squeeze_copy", "expand", "expand_copy", "repeat", "tile",
        "repeat_interleave", "flip", "roll", "pixel_shuffle", "pixel_unshuffle",
        "channel_shuffle", "native_channel_shuffle", "cat", "stack", "pad",
        "constant_pad_nd", "reflection_pad1d", "reflection_pad2d",
        "replication_pad1d", "replication_pad2d",
        "upsample_nearest1d", "upsample_nearest2d", "_upsample_nearest_exact1d",
        "_upsample_nearest_exact2d", "clone",
        "alias", "detach", "contiguous", "lift_fresh_copy",
    )
)  # fmt: skip
"""Names of operators that move elements, or copy them."""


@dataclass(frozen=True)
class Moved:
    """A tensor whose elements are those of an operation's tensor, moved."""

    operation: str
    shape: torch.Size
    """Shape in PyTorch, with N."""
    positions: torch.Tensor | None = None
    """Places of the elements in the operation's tensor, from 1 on, and 0 for a zero; float64 of
    ``shape``, which is exact. None where nothing has moved."""
    passed: tuple[torch.Size, ...] = ()
    """Shapes on the way."""

    def where(self) -> torch.Tensor:
        """Return positions, made where there are none yet."""
        if self.positions is not None:
            return self.positions
        return torch.arange(1, self.shape.numel() + 1, dtype=torch.float64).reshape(self.shape)

    def moved(self, positions: torch.Tensor) -> "Moved":
        """Return the same elements at other places."""
        passed = (*self.passed, self.shape)
        return replace(self, positions=positions, shape=positions.shape, passed=passed)


@dataclass(frozen=True)
class Chosen:
    """Elements of an image (C, H, W) by channel, row and column; -1 gives zeros."""

    channels: tuple[int, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]

    def changes(self, shape: tuple[int, int, int]) -> bool:
        """Return whether an image of ``shape`` becomes another one."""
        sides = (self.channels, self.rows, self.columns)
        return any(list(side) != list(range(size)) for side, size in zip(sides, shape, strict=True))


def canonical(shape: torch.Size | tuple[int, ...]) -> tuple[int, ...] | None:
    """Return (N, ...) as (C, H, W) or (F,); None for what is neither."""
    match tuple(shape[1:]):
        case (features,):
            return (features,)
        case (channels, length):
            return (channels, 1, length)
        case (channels, height, width):
            return (channels, height, width)
    return None


def of_one_image(positions: torch.Tensor, size: int) -> torch.Tensor | None:
    """Return positions within an image, from 0 on and -1 for zeros: int64 (...) without N.

    None where an image's elements are not its own, or images differ.
    """
    images = torch.arange(len(positions)).reshape(-1, *[1] * (positions.dim() - 1))
    positions = positions.long()
    own = torch.where(positions > 0, positions - 1 - images * size, -1)
    first = own[0]
    if not ((own == first).all() and first.max() < size and first.min() >= -1):
        return None
    return first


def choose(positions: torch.Tensor, shape: tuple[int, ...]) -> Chosen | None:
    """Say (C', H', W') positions in an image (C, H, W) by channel, row and column, if possible."""
    _, height, width = shape
    there = positions >= 0
    parts = (positions // (height * width), positions // width % height, positions % width)
    sides = []
    for axis, part in enumerate(parts):
        others = [each for each in range(3) if each != axis]
        sides.append(torch.where(there, part, -1).amax(others))
    channels, rows, columns = (
        side.reshape([-1 if axis == each else 1 for each in range(3)])
        for axis, side in enumerate(sides)
    )
    said = (channels * height + rows) * width + columns
    zero = (channels < 0) | (rows < 0) | (columns < 0)
    if not torch.equal(torch.where(zero, -1, said), positions):
        return None
    return Chosen(*(tuple(side.tolist()) for side in sides))
