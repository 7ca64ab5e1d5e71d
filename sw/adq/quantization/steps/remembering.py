"""Memory of the gradient: bytes in place of floats, and no weight that is found again."""

import contextlib
from collections.abc import Callable, Iterator

import torch

from adq.quantization.quantizers import Activation


@contextlib.contextmanager
def remembering(
    x: Activation,
    weight: torch.Tensor | None = None,
    again: Callable[[], torch.Tensor] | None = None,
) -> Iterator[None]:
    """Let what is computed inside keep an activation for its gradient in its smaller type.

    A weight is not kept at all, but computed ``again``.
    """
    # The graph keeps these functions: they must not hold the tensors that it is to forget.
    small, full, place = x.dtype, x.integers.dtype, x.integers.data_ptr()
    weight_layout = None if weight is None else _layout(weight)

    def pack(tensor: torch.Tensor) -> torch.Tensor | Callable[[], torch.Tensor]:
        if small is not None and tensor.data_ptr() == place:
            kept = tensor.to(small)
            return lambda: kept.to(full)
        return tensor if again is None or _layout(tensor) != weight_layout else again

    def unpack(kept: torch.Tensor | Callable[[], torch.Tensor]) -> torch.Tensor:
        return kept if isinstance(kept, torch.Tensor) else kept()

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        yield


def _layout(tensor: torch.Tensor) -> tuple[int, torch.Size, tuple[int, ...]]:
    """Tell a tensor from all others that are there, and from itself transposed."""
    return tensor.data_ptr(), tensor.shape, tensor.stride()
