"""Operations of a network, of the kinds that the integer network knows."""

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True, kw_only=True)
class Operation:
    """An operation of a network; it gives the tensor of its name."""

    name: str
    inputs: tuple[str, ...]
    """Operations whose tensors it reads."""
    shape: tuple[int, ...]
    """Of its tensor, without N."""


class Input(Operation):
    """The images."""


@dataclass(frozen=True, kw_only=True)
class Layer(Operation):
    """A convolution or a linear layer, named as in ``named_modules``."""

    module: nn.Conv2d | nn.Linear


@dataclass(frozen=True, kw_only=True)
class Norm(Operation):
    """A batch norm."""

    module: nn.BatchNorm1d | nn.BatchNorm2d


class Relu(Operation):
    """A ReLU."""


class Add(Operation):
    """The sum of two tensors of one shape."""


class Flatten(Operation):
    """(C, H, W) to (C*H*W,)."""


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
    """The mean of each window."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
