"""Network architectures as lists of output channels; a pruned network has smaller numbers.

``ARCHITECTURES`` can be read without PyTorch; ``build`` needs it.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from adq.models.architectures import ARCHITECTURES, Block, Entry, ModelError

if TYPE_CHECKING:
    from adq.models.listed import ListedNetwork

__all__ = ["ARCHITECTURES", "Block", "Entry", "ModelError", "build"]


def build(
    name: str,
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    channels: Mapping[str, int] | None = None,
) -> "ListedNetwork":
    """Build a floating-point network of ``ARCHITECTURES``.

    ``channels`` gives the output channels of pruned layers, by layer name. ``input_shape`` is
    (C, H, W).

    Raises
    ------
    ModelError
        If there is no such architecture, the images are too small, or the channels of a skip
        connection differ.

    """
    from adq.models.listed import ListedNetwork

    if name not in ARCHITECTURES:
        raise ModelError(f"{name} is no architecture: choose one of {', '.join(ARCHITECTURES)}")
    return ListedNetwork(ARCHITECTURES[name], input_shape, classes, channels or {})
