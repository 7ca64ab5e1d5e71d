"""Architectures as lists of channels, readable without PyTorch."""

__all__ = ["ARCHITECTURES", "Block", "ModelError"]


class ModelError(ValueError):
    """A network that cannot be built as asked."""


Block = tuple[int, int, int]
"""A residual block: channels of its first and of its second convolution, and its stride."""

ARCHITECTURES: dict[str, tuple[int | str | Block, ...]] = {
    "digits": (16, "M", 32, 32, "M"),
    "vgg9": (32, 32, "M", 64, 64, "M", 128, 128, "M"),
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
"""Output channels of each 3x3 convolution, ``M`` for a 2x2 maximum pooling, a ``Block``, and ``A``
for an average over all positions; one linear layer follows. As usual for small images, VGG has one
linear layer in place of three, so that its names count two layers more; vgg9 is slim besides."""
