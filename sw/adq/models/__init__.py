"""Networks, each an architecture that is a list: pruning shortens its numbers.

``ARCHITECTURES`` is readable without PyTorch, which ``build`` needs.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from adq.models.architectures import ARCHITECTURES, Block, ModelError

if TYPE_CHECKING:
    from adq.models.listed import ListedNetwork

__all__ = ["ARCHITECTURES", "Block", "ModelError", "build"]


def build(
    name: str,
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    channels: Mapping[str, int] | None = None,
) -> "ListedNetwork":
    """Build a network of ``ARCHITECTURES`` in floating point.

    ``channels`` gives layers that were pruned the output channels that they have left, by name.

    Raises
    ------
    ModelError
        There is no such architecture, the images are too small, or channels do not fit each other.

    """
    from adq.models.listed import ListedNetwork

    if name not in ARCHITECTURES:
        raise ModelError(f"{name} is no architecture: choose one of {', '.join(ARCHITECTURES)}")
    return ListedNetwork(ARCHITECTURES[name], input_shape, classes, channels or {})
