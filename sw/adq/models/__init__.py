"""Network architectures as lists of output channels; a pruned network has smaller numbers.

``ARCHITECTURES`` can be read without PyTorch; ``build`` needs it.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from adq.models.architectures import ARCHITECTURES, Block, Entry, ModelError
from adq.own_code import call, is_own

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ARCHITECTURES", "Block", "Entry", "ModelError", "build"]


def build(
    name: str,
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    channels: Mapping[str, int] | None = None,
) -> "nn.Module":
    """Build a floating-point network of ``ARCHITECTURES``, or of a function ``module:function``.

    ``channels`` gives the output channels of pruned layers, by layer name, for a network of
    ``ARCHITECTURES`` alone. ``input_shape`` is (C, H, W). A function is called with
    ``input_shape`` and ``classes``.

    Raises
    ------
    ModelError
        If there is no such architecture, the images are too small, or the channels of a skip
        connection differ.
    adq.fields.ConfigError
        If there is no such function, or it fails.

    """
    if is_own(name):
        return _own(name, input_shape, classes)
    from adq.models.listed import ListedNetwork

    if name not in ARCHITECTURES:
        raise ModelError(f"{name} is no architecture: choose one of {', '.join(ARCHITECTURES)}")
    return ListedNetwork(ARCHITECTURES[name], input_shape, classes, channels or {})


def _own(name: str, input_shape: tuple[int, int, int], classes: int) -> "nn.Module":
    from torch import nn

    model = call(name, input_shape, classes)
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"{name}: returned {type(model).__name__}: it must return a torch.nn.Module"
        )
    return model
