"""Networks, each an architecture that is a list: pruning shortens its numbers.

``ARCHITECTURES`` is readable without PyTorch; the modules are built by ``adq.models.vgg``.
"""

ARCHITECTURES: dict[str, tuple[int | str, ...]] = {
    "digits": (16, "M", 32, 32, "M"),
}
"""Output channels of each 3x3 convolution, and ``M`` for a 2x2 maximum pooling."""
