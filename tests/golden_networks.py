"""Random integer networks and images for the tests of `golden`."""

import numpy as np
from hypothesis import strategies as st

from adq.golden.im2col import output_size
from adq.golden.network import (
    INPUT,
    ActivationFormat,
    AveragePool2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Network,
    Requantize,
    Rescale,
)


class NetworkBuilder:
    """Appends nodes of random integers and keeps track of shapes."""

    def __init__(self, rng, input_shape, input_format):
        self.rng = rng
        self.input_shape, self.input_format = input_shape, input_format
        self.nodes = []
        self.shapes = {INPUT: input_shape}
        self.last = INPUT

    def activation_format(self):
        return ActivationFormat(
            bits=int(self.rng.integers(1, 17)),
            signed=bool(self.rng.integers(2)),
            scale=float(self.rng.uniform(1e-3, 1)),
        )

    def requantize(self, channels, bound, skip=None):
        target = self.activation_format()
        # Shifts that leave outputs within their range, saturated, and all zero.
        shift = bound.bit_length() + 15 - target.bits + int(self.rng.integers(-6, 3))
        return Requantize(
            multiplier=self.rng.integers(-(2**15), 2**15, channels),
            shift=min(max(shift, 0), 62),
            format=target,
            skip=skip,
            skip_multiplier=None if skip is None else self.skip_multiplier(channels, bound),
        )

    def skip_multiplier(self, channels, bound):
        """Multipliers with which a skip of 16 bits weighs about as much as the accumulator."""
        limit = bound >> 1
        return self.rng.integers(-limit, limit, channels)

    def append(self, node, shape):
        self.nodes.append(node)
        self.shapes[node.name] = shape
        self.last = node.name

    def name(self, kind):
        return f"{kind}{len(self.nodes)}"

    def slide(self, kernel, stride, padding):
        return tuple(map(output_size, self.shapes[self.last][1:], kernel, stride, padding))

    def layer(self, shape):
        bits = int(self.rng.integers(2, 17))
        limit = 2 ** (bits - 1)
        return {
            "weight": self.rng.integers(-limit, limit, shape),
            "weight_bits": bits,
            "bias": self.rng.integers(-(2**20), 2**20, shape[0]),
            "density": float(self.rng.uniform()),
        }

    def conv(self, outputs, kernel, stride, padding, skip=None, groups=1):
        channels = self.shapes[self.last][0] // groups
        sides = self.slide(kernel, stride, padding)
        bound = channels * kernel[0] * kernel[1] << 24
        node = Conv2d(
            name=self.name("conv"),
            input=self.last,
            stride=stride,
            padding=padding,
            groups=groups,
            requantize=self.requantize(outputs, bound, skip),
            **self.layer((outputs, channels, *kernel)),
        )
        self.append(node, (outputs, *sides))

    def residual(self):
        channels = self.shapes[self.last][0]
        skip = self.last
        self.conv(channels, (3, 3), (1, 1), (1, 1))
        self.conv(channels, (3, 3), (1, 1), (1, 1), skip=skip)

    def rescale(self, skip=None):
        shape = self.shapes[self.last]
        node = Rescale(
            name=self.name("rescale"),
            input=self.last,
            requantize=self.requantize(shape[0], 2**10, skip),
        )
        self.append(node, shape)

    def max_pool(self, kernel, stride, padding):
        sides = self.slide(kernel, stride, padding)
        node = MaxPool2d(
            name=self.name("pool"), input=self.last, kernel=kernel, stride=stride, padding=padding
        )
        self.append(node, (self.shapes[self.last][0], *sides))

    def average_pool(self, kernel, stride):
        channels = self.shapes[self.last][0]
        sides = self.slide(kernel, stride, (0, 0))
        node = AveragePool2d(
            name=self.name("average"),
            input=self.last,
            kernel=kernel,
            stride=stride,
            requantize=self.requantize(channels, 2**12),
        )
        self.append(node, (channels, *sides))

    def network(self, classes):
        size = int(np.prod(self.shapes[self.last]))
        self.append(Flatten(name=self.name("flatten"), input=self.last), (size,))
        node = Linear(
            name=self.name("linear"),
            input=self.last,
            requantize=None,
            **self.layer((classes, size)),
        )
        self.append(node, (classes,))
        return Network(
            name="random",
            input_shape=self.input_shape,
            input_format=self.input_format,
            nodes=tuple(self.nodes),
        )


def random_inputs(network, rng, images):
    """Uniform integers over the input format; the extremes occur."""
    limits = network.input_format
    return rng.integers(limits.lo, limits.hi + 1, (images, *network.input_shape))


@st.composite
def networks(draw):
    """Small networks of every kind of node, with every format; yields (network, inputs)."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = tuple(draw(st.integers(1, most)) for most in (3, 6, 6))
    input_format = ActivationFormat(
        bits=draw(st.integers(1, 16)), signed=draw(st.booleans()), scale=1.0
    )
    builder = NetworkBuilder(rng, shape, input_format)
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["conv", "residual", "rescale", "max_pool", "average_pool"]))
        kernel, stride = draw(pairs), draw(pairs)
        if kind == "residual":
            builder.residual()
            continue
        if kind == "rescale":
            before = [n for n, s in builder.shapes.items() if s == builder.shapes[builder.last]]
            builder.rescale(draw(st.sampled_from([None, *before])))
            continue
        padding = (0, 0)
        if kind == "conv":
            padding = draw(st.tuples(st.integers(0, 1), st.integers(0, 2)))
        elif kind == "max_pool":
            padding = tuple(draw(st.integers(0, side // 2)) for side in kernel)
        if min(builder.slide(kernel, stride, padding)) < 1:
            continue
        if kind == "conv":
            channels = builder.shapes[builder.last][0]
            groups = draw(st.sampled_from([g for g in (1, 2, 3) if channels % g == 0]))
            outputs = groups * draw(st.integers(1, 3))
            builder.conv(outputs, kernel, stride, padding, groups=groups)
        elif kind == "max_pool":
            builder.max_pool(kernel, stride, padding)
        else:
            builder.average_pool(kernel, stride)
    network = builder.network(classes=draw(st.integers(1, 4)))
    return network, random_inputs(network, rng, draw(st.integers(1, 2)))


def digits_like_network(bits=4, seed=0):
    """A network of the size that digits need, with a residual block, of uniform precision."""
    rng = np.random.default_rng(seed)
    signed = ActivationFormat(bits=bits, signed=True, scale=0.1)
    unsigned = ActivationFormat(bits=bits, signed=False, scale=0.05)

    def layer(*shape):
        limit = 2 ** (bits - 1)
        return {
            "weight": rng.integers(-limit, limit, shape),
            "weight_bits": bits,
            "bias": rng.integers(-50, 50, shape[0]),
            "density": 0.5,
        }

    def requantize(target, **skip):
        shift = bits + 16
        return Requantize(
            multiplier=rng.integers(2**13, 2**15, 8), shift=shift, format=target, **skip
        )

    same = {"stride": (1, 1), "padding": (1, 1)}
    skip = {"skip": "conv1", "skip_multiplier": np.full(8, 2 ** (bits + 15))}
    nodes = (
        Conv2d(name="conv1", input=INPUT, requantize=requantize(unsigned), **same,
               **layer(8, 1, 3, 3)),
        Conv2d(name="conv2", input="conv1", requantize=requantize(signed), **same,
               **layer(8, 8, 3, 3)),
        Conv2d(name="conv3", input="conv2", requantize=requantize(unsigned, **skip), **same,
               **layer(8, 8, 3, 3)),
        MaxPool2d(name="pool", input="conv3", kernel=(2, 2), stride=(2, 2), padding=(0, 0)),
        AveragePool2d(name="average", input="pool", kernel=(2, 2), stride=(2, 2),
                      requantize=Requantize(multiplier=np.full(8, 2**13), shift=15,
                                            format=unsigned)),
        Flatten(name="flatten", input="average"),
        Linear(name="linear", input="flatten", requantize=None, **layer(10, 32)),
    )  # fmt: skip
    return Network(name="digits-like", input_shape=(1, 8, 8), input_format=signed, nodes=nodes)
