"""Networks of known shapes with weights of 0: what cycles follow from, and nothing else."""

from collections.abc import Sequence

import numpy as np

from adq.golden.mapping.im2col import output_size
from adq.golden.network import (
    INPUT,
    ActivationFormat,
    AveragePool2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Network,
    Node,
    Requantize,
)

VGG19: tuple[int | str, ...] = (
    64,
    64,
    "M",
    128,
    128,
    "M",
    *[256] * 4,
    "M",
    *[512] * 4,
    "M",
    *[512] * 4,
    "M",
)
"""Output channels of 3x3 convolutions, and maximum pools."""

RESNET18 = ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1))
"""Output channels and stride of each block of two 3x3 convolutions."""

IMAGE = (3, 32, 32)
"""Images of CIFAR-10."""

LEVELS = ActivationFormat(bits=8, signed=False, scale=1.0)
"""Pixels as they are."""

OUTER_BITS = 16
"""Precision of the weights of the first and of both operands of the last layer."""


def vgg19(bits: int, classes: int = 10) -> Network:
    """Return VGG19 for images of 32x32 whose hidden layers have so many bits."""
    shape = _Shape(bits)
    layers = [each for each in VGG19 if each != "M"]
    for outputs in VGG19:
        if isinstance(outputs, str):
            shape.max_pool()
        else:
            last = shape.convolutions == len(layers) - 1
            shape.convolution(outputs, output_bits=OUTER_BITS if last else bits)
    return shape.network("vgg19", classes)


def resnet18(bits: int, classes: int = 10) -> Network:
    """Return ResNet18 for images of 32x32 whose hidden layers have so many bits."""
    shape = _Shape(bits)
    shape.convolution(64, output_bits=bits)
    for block, (outputs, stride) in enumerate(RESNET18):
        before = shape.last
        shape.convolution(outputs, output_bits=bits, stride=stride)
        skip = before
        if stride != 1:
            skip = shape.convolution(
                outputs, output_bits=bits, stride=stride, kernel=1, source=before, main=False
            )
        last = block == len(RESNET18) - 1
        shape.convolution(outputs, output_bits=OUTER_BITS if last else bits, skip=skip)
    shape.average_pool()
    return shape.network("resnet18", classes)


class _Shape:
    """Appends layers of a size, with weights of 0."""

    def __init__(self, bits: int):
        self.bits = bits
        self.nodes: list[Node] = []
        self.shapes: dict[str, Sequence[int]] = {INPUT: IMAGE}
        self.last = INPUT
        self.convolutions = 0

    def convolution(
        self,
        outputs: int,
        *,
        output_bits: int,
        kernel: int = 3,
        stride: int = 1,
        source: str | None = None,
        skip: str | None = None,
        main: bool = True,
    ) -> str:
        """Append a convolution, and return its name."""
        source = source or self.last
        channels, height, width = self.shapes[source]
        self.convolutions += 1
        name = f"conv{self.convolutions}"
        padding = kernel // 2
        self.nodes.append(
            Conv2d(
                name=name,
                input=source,
                weight=np.zeros((outputs, channels, kernel, kernel), dtype=np.int8),
                weight_bits=OUTER_BITS if source == INPUT else self.bits,
                bias=np.zeros(outputs, dtype=np.int64),
                stride=(stride, stride),
                padding=(padding, padding),
                requantize=_requantize(outputs, output_bits, skip),
            )
        )
        sides = (output_size(side, kernel, stride, padding) for side in (height, width))
        self.shapes[name] = (outputs, *sides)
        if main:
            self.last = name
        return name

    def max_pool(self) -> None:
        two, name = (2, 2), f"pool{len(self.nodes)}"
        self.nodes.append(
            MaxPool2d(name=name, input=self.last, kernel=two, stride=two, padding=(0, 0))
        )
        channels, height, width = self.shapes[self.last]
        self.shapes[name] = (channels, height // 2, width // 2)
        self.last = name

    def average_pool(self) -> None:
        channels, height, width = self.shapes[self.last]
        self.nodes.append(
            AveragePool2d(
                name="average",
                input=self.last,
                kernel=(height, width),
                stride=(1, 1),
                requantize=_requantize(channels, OUTER_BITS, None),
            )
        )
        self.shapes["average"] = (channels, 1, 1)
        self.last = "average"

    def network(self, name: str, classes: int) -> Network:
        """End with a linear layer."""
        size = int(np.prod(self.shapes[self.last]))
        self.nodes.append(Flatten(name="flatten", input=self.last))
        self.nodes.append(
            Linear(
                name="linear",
                input="flatten",
                weight=np.zeros((classes, size), dtype=np.int8),
                weight_bits=OUTER_BITS,
                bias=np.zeros(classes, dtype=np.int64),
                requantize=None,
            )
        )
        return Network(name=name, input_shape=IMAGE, input_format=LEVELS, nodes=tuple(self.nodes))


def _requantize(channels: int, bits: int, skip: str | None) -> Requantize:
    return Requantize(
        multiplier=np.ones(channels, dtype=np.int64),
        shift=8,
        format=ActivationFormat(bits=bits, signed=False, scale=1.0),
        skip=skip,
        skip_multiplier=None if skip is None else np.ones(channels, dtype=np.int64),
    )
