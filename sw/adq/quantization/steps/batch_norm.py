"""Batch norm: what it is folded into, and itself with another gamma and beta.

Notation used for tensor shapes: C channels.
"""

import torch
from torch import nn
from torch.nn import functional


def affine(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Return gamma and beta: (C,) both."""
    if norm.affine:
        return norm.weight, norm.bias
    mean, deviation = statistics(norm)
    return torch.ones_like(deviation).float(), torch.zeros_like(mean).float()


def statistics(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Return running mean, and square root of the running variance plus eps: float64 (C,) both."""
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise AssertionError("a batch norm without running statistics is refused when it is read")
    return mean.double(), (variance.double() + norm.eps).sqrt()


def folded(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the factor and offset of a batch norm in evaluation: float64 (C,) both."""
    factor, shift = (each.detach().double() for each in affine(norm))
    mean, deviation = statistics(norm)
    factor = factor / deviation
    return factor, shift - factor * mean


def normalized(
    norm: nn.BatchNorm1d | nn.BatchNorm2d,
    x: torch.Tensor,
    gamma: torch.Tensor,
    beta: torch.Tensor,
) -> torch.Tensor:
    """Return batch norm, as the norm's own module would do it, with another gamma and beta."""
    momentum = norm.momentum
    if norm.training and norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
        if momentum is None:
            momentum = 1 / int(norm.num_batches_tracked)
    return functional.batch_norm(
        x, norm.running_mean, norm.running_var, gamma, beta, norm.training,
        momentum or 0.0, norm.eps,
    )  # fmt: skip
