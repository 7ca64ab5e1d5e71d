"""Architectures as lists of channels, readable without PyTorch."""

from typing import Literal

__all__ = ["ARCHITECTURES", "Block", "Entry", "ModelError"]


class ModelError(ValueError):
    """The requested network cannot be built."""


Block = tuple[int, int, int]
"""Residual block: channels of its first and second convolution, and its stride."""

Entry = int | Literal["M", "A"] | Block
"""Entry of an architecture; see ``ARCHITECTURES``."""

ARCHITECTURES: dict[str, tuple[Entry, ...]] = {
    "digits": (16, "M", 32, 32, "M"),
    "vgg9": (32, 32, "M", 64, 64, "M", 128, 128, "M"),
    "vgg9-thin": (16, 16, "M", 32, 32, "M", 64, 64, "M"),
    "vgg11": (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    "vgg16": (
        *(64, 64, "M", 128, 128, "M"),
        *(256, 256, 256, "M"),
        *(512, 512, 512, "M"),
        *(512, 512, 512, "M"),
    ),
    "vgg19": (
        *(64, 64, "M", 128, 128, "M"),
        *(256, 256, 256, 256, "M"),
        *(512, 512, 512, 512, "M"),
        *(512, 512, 512, 512, "M"),
    ),
    "resnet8": (16, (16, 16, 1), (32, 32, 2), (64, 64, 2), "A"),
    "resnet18": (
        64,
        *((64, 64, 1), (64, 64, 1)),
        *((128, 128, 2), (128, 128, 1)),
        *((256, 256, 2), (256, 256, 1)),
        *((512, 512, 2), (512, 512, 1)),
        "A",
    ),
    "resnet20": (
        16,
        *((16, 16, 1), (16, 16, 1), (16, 16, 1)),
        *((32, 32, 2), (32, 32, 1), (32, 32, 1)),
        *((64, 64, 2), (64, 64, 1), (64, 64, 1)),
        "A",
    ),
}
"""Architectures by name. An entry is the output channels of a 3x3 convolution, ``M`` for 2x2 max
pooling, a ``Block``, or ``A`` for global average pooling. One linear layer follows the list.

As usual for small images, the VGG networks have one linear layer instead of three, so their names
count two layers more than they have. vgg9 also has fewer channels, and vgg9-thin half of these."""
