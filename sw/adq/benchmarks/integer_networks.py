"""Integer networks of the sizes that are published, with random weights, for measuring speed."""

import math

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
from adq.golden.platform.planning.shapes import RESNET18, VGG19
from adq.golden.requantize import multiplier_and_shift, skip_multiplier_and_shift

OUTER_BITS = 16
"""Precision of the first and the last layer."""

INNER_BITS = (4, 5, 3, 6, 4, 3, 5, 4)
"""Precisions of the layers between, over and over: what densities of a third leave of 16 bits."""


def vgg19(classes: int = 10, seed: int = 0) -> Network:
    """Return VGG19 on 32x32 images: 16 convolutions and one linear layer."""
    builder = _Builder(seed)
    for outputs in VGG19:
        if outputs == "M":
            builder.max_pool()
        else:
            builder.convolution(outputs)
    return builder.network("vgg19", classes)


def resnet18(classes: int = 100, seed: int = 0) -> Network:
    """Return ResNet18 on 32x32 images: 1x1 convolutions on skips where the shape changes."""
    builder = _Builder(seed)
    builder.convolution(64)
    for outputs, stride in RESNET18:
        skip = entry = builder.last
        if stride != 1 or builder.shapes[entry][0] != outputs:
            skip = builder.convolution(outputs, kernel=1, stride=stride, signed=True)
        builder.convolution(outputs, stride=stride, source=entry)
        builder.convolution(outputs, skip=skip)
    builder.average_pool()
    return builder.network("resnet18", classes)


def chain(layers: int, channels: int, side: int, classes: int = 10, seed: int = 0) -> Network:
    """Return 3x3 convolutions of as many channels each, on square images of as many."""
    builder = _Builder(seed, (channels, side, side))
    for _ in range(layers):
        builder.convolution(channels)
    return builder.network(f"chain-{layers}x{channels}", classes)


class _Builder:
    """Appends nodes whose activations spread over their formats."""

    def __init__(self, seed: int, image: tuple[int, int, int] = (3, 32, 32)):
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Node] = []
        self.last = INPUT
        self.shapes = {INPUT: image}
        self.formats = {INPUT: _format(OUTER_BITS, signed=True)}
        self.layers = 0

    def _append(self, node: Node) -> str:
        self.nodes.append(node)
        self.last = node.name
        self.shapes[node.name] = node.output_shape(self.shapes[node.input])
        requantize = getattr(node, "requantize", None)
        self.formats[node.name] = requantize.format if requantize else self.formats[node.input]
        return node.name

    def _weight(self, bits: int, *shape: int) -> np.ndarray:
        limit = 1 << (bits - 1)
        return self.rng.integers(1 - limit, limit, shape)  # without a mean that adds up

    def _next_bits(self) -> int:
        """Return the precision of the layer that reads: the one that is appended after this."""
        self.layers += 1
        return INNER_BITS[self.layers % len(INNER_BITS)]

    def convolution(
        self,
        outputs: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        source: str | None = None,
        signed: bool = False,
        skip: str | None = None,
    ) -> str:
        source = source or self.last
        channels, height, _ = self.shapes[source]
        reads = self.formats[source]
        bits = reads.bits
        weight = self._weight(bits, outputs, channels, kernel, kernel)
        target = _format(self._next_bits(), signed=signed)
        # Sums of random products are normal: two deviations reach the format's limit, and what a
        # ReLU leaves of them has this mean square. The images are uniform. Padding adds nothing.
        mean_square = reads.hi**2 / (3 if source == INPUT else 8)
        inside = (1 - (kernel - 1) * (kernel + 1) / 4 / (kernel * height)) ** 2
        products = weight[0].size * inside
        deviation = math.sqrt(products * float((weight**2.0).mean()) * mean_square)
        real = np.full(outputs, target.hi / (2 * deviation)) * self.rng.uniform(0.7, 1, outputs)
        multiplier, shift = multiplier_and_shift(real)
        skip_multiplier, skip_shift = None, 0
        if skip is not None:
            factor = np.full(outputs, target.hi / self.formats[skip].hi / 2)
            skip_multiplier, skip_shift = skip_multiplier_and_shift(factor, shift)
        padding = kernel // 2
        assert output_size(height, kernel, stride, padding) == height // stride
        return self._append(
            Conv2d(
                name=f"conv{len(self.nodes)}",
                input=source,
                weight=weight,
                weight_bits=bits,
                bias=self.rng.integers(-reads.hi, reads.hi + 1, outputs),
                stride=(stride, stride),
                padding=(padding, padding),
                requantize=Requantize(
                    multiplier=multiplier,
                    shift=shift,
                    format=target,
                    skip=skip,
                    skip_multiplier=skip_multiplier,
                    skip_shift=skip_shift,
                ),
            )
        )

    def max_pool(self) -> None:
        two = (2, 2)
        name = f"pool{len(self.nodes)}"
        self._append(MaxPool2d(name=name, input=self.last, kernel=two, stride=two, padding=(0, 0)))

    def average_pool(self) -> None:
        channels, *sides = self.shapes[self.last]
        kernel = tuple(sides)
        multiplier, shift = multiplier_and_shift(np.full(channels, 1 / math.prod(kernel)))
        target = self.formats[self.last]
        self._append(
            AveragePool2d(
                name="average",
                input=self.last,
                kernel=kernel,
                stride=kernel,
                requantize=Requantize(multiplier=multiplier, shift=shift, format=target),
            )
        )

    def network(self, name: str, classes: int) -> Network:
        self._append(Flatten(name="flatten", input=self.last))
        (inputs,) = self.shapes[self.last]
        self._append(
            Linear(
                name="linear",
                input=self.last,
                weight=self._weight(OUTER_BITS, classes, inputs),
                weight_bits=OUTER_BITS,
                bias=self.rng.integers(-1000, 1000, classes),
                requantize=None,
            )
        )
        return Network(
            name=name,
            input_shape=self.shapes[INPUT],
            input_format=self.formats[INPUT],
            nodes=tuple(self.nodes),
        )


def _format(bits: int, *, signed: bool) -> ActivationFormat:
    return ActivationFormat(bits=bits, signed=signed, scale=1.0)
