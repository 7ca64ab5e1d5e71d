"""Random integer networks and images for the tests of `golden`."""

import dataclasses

import numpy as np
from hypothesis import strategies as st

from adq.golden.mapping.im2col import output_size
from adq.golden.network import (
    INPUT,
    ActivationFormat,
    AveragePool2d,
    Concat,
    Conv2d,
    Flatten,
    Gather,
    Linear,
    Lookup,
    MaxPool2d,
    Multiply,
    Network,
    Requantize,
    Rescale,
    Reshape,
)


class NetworkBuilder:
    """Appends nodes of random integers and keeps track of shapes."""

    def __init__(self, rng, input_shape, input_format, with_offsets=False):
        self.rng = rng
        self.with_offsets = with_offsets
        self.input_shape, self.input_format = input_shape, input_format
        self.nodes = []
        self.shapes = {INPUT: input_shape}
        self.formats = {INPUT: input_format}
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
            **({} if skip is None else self.skip_multiplier(channels, bound)),
            offset=self.offset(channels, bound),
        )

    def offset(self, channels, bound):
        """Offsets that weigh about as much as the accumulator, or none."""
        if not self.with_offsets or not self.rng.integers(2):
            return None
        limit = 2**13 * bound
        return self.rng.integers(-limit, limit, channels)

    def skip_multiplier(self, channels, bound):
        """Multipliers with which a skip of 16 bits weighs about as much as the accumulator.

        One in four networks has them as artifacts of format version 3 do, wider than 16 bits.
        """
        limit = bound >> 1
        if not self.rng.integers(4):
            return {"skip_multiplier": self.rng.integers(-limit, limit, channels)}
        shift = max(0, limit.bit_length() - 15)
        limit >>= shift
        return {
            "skip_multiplier": self.rng.integers(-limit, limit, channels),
            "skip_shift": shift,
        }

    def append(self, node, shape):
        self.nodes.append(node)
        self.shapes[node.name] = shape
        if getattr(node, "requantize", 0) is not None:
            self.formats[node.name] = node.output_format(self.formats[node.input])
        self.last = node.name

    def name(self, kind):
        return f"{kind}{len(self.nodes)}"

    def slide(self, kernel, stride, padding, dilation=(1, 1)):
        sides = self.shapes[self.last][1:]
        return tuple(map(output_size, sides, kernel, stride, padding, dilation))

    def layer(self, shape):
        bits = int(self.rng.integers(2, 17))
        limit = 2 ** (bits - 1)
        return {
            "weight": self.rng.integers(-limit, limit, shape),
            "weight_bits": bits,
            "bias": self.rng.integers(-(2**20), 2**20, shape[0]),
            "density": float(self.rng.uniform()),
        }

    def conv(self, outputs, kernel, stride, padding, skip=None, groups=1, dilation=(1, 1)):
        channels = self.shapes[self.last][0] // groups
        sides = self.slide(kernel, stride, padding, dilation)
        bound = channels * kernel[0] * kernel[1] << 24
        node = Conv2d(
            name=self.name("conv"),
            input=self.last,
            stride=stride,
            padding=padding,
            groups=groups,
            dilation=dilation,
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

    def gather(self):
        shape = self.shapes[self.last]
        sizes = [int(self.rng.integers(1, 2 * side + 2)) for side in shape]
        chosen = [
            self.rng.integers(-1, side, size) for side, size in zip(shape, sizes, strict=True)
        ]
        fields = dict(zip(("channels", "rows", "columns"), chosen, strict=True))
        self.append(Gather(name=self.name("gather"), input=self.last, **fields), tuple(sizes))

    def concat(self):
        """Concatenate what is there with itself and with a rescaling of the same format."""
        source, shape = self.last, self.shapes[self.last]
        self.rescale()
        others = (self.last, self.last)
        self.append(
            Rescale(name=self.name("rescale"), input=source,
                    requantize=dataclasses.replace(self.nodes[-1].requantize, skip=None,
                                                   skip_multiplier=None, skip_shift=0)),
            shape,
        )  # fmt: skip
        node = Concat(name=self.name("concat"), input=self.last, others=others)
        self.append(node, (3 * shape[0], *shape[1:]))

    def lookup(self):
        source = self.formats[self.last]
        if source.bits > 12:
            narrow = dataclasses.replace(source, bits=int(self.rng.integers(1, 13)))
            requantize = self.requantize(self.shapes[self.last][0], 2**10)
            node = Rescale(
                name=self.name("rescale"),
                input=self.last,
                requantize=dataclasses.replace(requantize, format=narrow),
            )
            self.append(node, self.shapes[self.last])
            source = narrow
        target = self.activation_format()
        table = self.rng.integers(target.lo, target.hi + 1, 2**source.bits)
        node = Lookup(name=self.name("lookup"), input=self.last, table=table, format=target)
        self.append(node, self.shapes[self.last])

    def multiply(self, gate):
        shape, other = self.shapes[self.last], self.last
        source = self.last
        if gate:
            self.average_pool(shape[1:], (1, 1))
            other = self.last
        node = Multiply(
            name=self.name("multiply"),
            input=source,
            other=other,
            requantize=self.requantize(shape[0], 2**28),
        )
        self.append(node, shape)

    def reshape(self):
        """Rows as channels, through a vector."""
        channels, height, width = self.shapes[self.last]
        size = (channels * height * width,)
        self.append(Flatten(name=self.name("flatten"), input=self.last), size)
        to = (channels * height, 1, width)
        self.append(Reshape(name=self.name("reshape"), input=self.last, to=to), to)

    def pixels(self, classes):
        """End with a convolution that gives a class a pixel, and give the tensor before it too."""
        source = self.last
        fields = self.layer((classes, self.shapes[self.last][0], 1, 1))
        node = Conv2d(
            name=self.name("conv"), input=source, stride=(1, 1), padding=(0, 0), requantize=None,
            **fields,
        )  # fmt: skip
        self.append(node, (classes, *self.shapes[source][1:]))
        outputs = (node.name,) if source == INPUT else (node.name, source)
        return self.build(outputs)

    def activations(self):
        """End with activations."""
        return self.build((self.last,))

    def build(self, outputs=()):
        return Network(
            name="random",
            input_shape=self.input_shape,
            input_format=self.input_format,
            nodes=tuple(self.nodes),
            outputs=outputs,
        )

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
        return self.build()


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
    builder = NetworkBuilder(rng, shape, input_format, with_offsets=True)
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    simple = {
        "residual": builder.residual,
        "gather": builder.gather,
        "concat": builder.concat,
        "lookup": builder.lookup,
        "multiply": lambda: builder.multiply(draw(st.booleans())),
        "reshape": builder.reshape,
    }
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from([*simple, "conv", "rescale", "max_pool", "average_pool"]))
        kernel, stride = draw(pairs), draw(pairs)
        if kind in simple:
            simple[kind]()
            continue
        if kind == "rescale":
            before = [n for n, s in builder.shapes.items() if s == builder.shapes[builder.last]]
            builder.rescale(draw(st.sampled_from([None, *before])))
            continue
        padding, dilation = (0, 0), (1, 1)
        if kind == "conv":
            dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 3)))
            padding = draw(st.tuples(st.integers(0, 1), st.integers(0, 2)))
        elif kind == "max_pool":
            padding = tuple(draw(st.integers(0, side // 2)) for side in kernel)
        if min(builder.slide(kernel, stride, padding, dilation)) < 1:
            continue
        if kind == "conv":
            channels = builder.shapes[builder.last][0]
            groups = draw(st.sampled_from([g for g in (1, 2, 3) if channels % g == 0]))
            outputs = groups * draw(st.integers(1, 3))
            builder.conv(outputs, kernel, stride, padding, groups=groups, dilation=dilation)
        elif kind == "max_pool":
            builder.max_pool(kernel, stride, padding)
        else:
            builder.average_pool(kernel, stride)
    end = draw(st.sampled_from(["network", "network", "pixels", "activations"]))
    if end == "activations" and builder.nodes:
        network = builder.activations()
    else:
        network = getattr(builder, "pixels" if end == "pixels" else "network")(
            classes=draw(st.integers(1, 4))
        )
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
    skip = {"skip": "conv1", "skip_multiplier": np.full(8, 2**14), "skip_shift": bits + 1}
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
