"""Operations of a network, of the kinds that the integer network knows.

Images are (C, H, W); what has one axis, as sound has, is (C, 1, L). Vectors are (F,).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True, kw_only=True)
class Operation:
    """An operation of a network; it gives the tensor of its name."""

    name: str
    inputs: tuple[str, ...]
    """Operations whose tensors it reads."""
    shape: tuple[int, ...]
    """Shape of its tensor, without N."""


class Input(Operation):
    """The images."""


@dataclass(frozen=True, kw_only=True)
class Layer(Operation):
    """A convolution or a linear layer, named as in ``named_modules``."""

    module: nn.Conv1d | nn.Conv2d | nn.Linear
    padding: tuple[int, int]
    """(0, 0) for a linear layer, and where a ``Gather`` before it pads."""


@dataclass(frozen=True, kw_only=True)
class Norm(Operation):
    """A batch norm."""

    module: nn.BatchNorm1d | nn.BatchNorm2d


@dataclass(frozen=True, kw_only=True)
class Relu(Operation):
    """A ReLU, clipped at a limit where it has one."""

    limit: float | None = None


@dataclass(frozen=True, kw_only=True)
class Activation(Operation):
    """A function of single elements that becomes a table."""

    function: Callable[[torch.Tensor], torch.Tensor]


class Add(Operation):
    """The sum of two tensors of one shape."""


class Multiply(Operation):
    """The product of two tensors; the second may be (C, 1, 1) beside (C, H, W)."""


class Concat(Operation):
    """Tensors one after another, along their channels."""


class Flatten(Operation):
    """(C, H, W) to (C*H*W,)."""


class Reshape(Operation):
    """Gives the same elements in the same order, in the operation's shape."""


@dataclass(frozen=True, kw_only=True)
class Gather(Operation):
    """Elements of chosen channels, rows and columns; a position of -1 gives zeros."""

    channels: tuple[int, ...]
    rows: tuple[int, ...] | None
    """None, as ``columns``, for vectors."""
    columns: tuple[int, ...] | None


@dataclass(frozen=True, kw_only=True)
class Dropout(Operation):
    """Regularization that is absent from the integer network."""

    module: nn.Module


@dataclass(frozen=True, kw_only=True)
class MaxPool(Operation):
    """The largest of each window."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class AveragePool(Operation):
    """The sum of each window, over a divisor."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    divisor: int
