"""From a network's nodes to steps of the platform: convolutions, and what follows their sums.

A step is a convolution of one tensor in the plane memory, with a requantization, a skip connection
and a maximum pooling behind it. Everything a network holds becomes steps:

- a linear layer is a convolution whose kernel is as large as its input;
- an average pooling is a convolution of each channel by ones;
- a rescaling, a table, a copy and a maximum pooling that stands alone are convolutions of each
  channel by 1;
- a selection of channels, rows and columns is a convolution by 0 and 1;
- a maximum pooling follows the step before it where nothing else reads that step's output;
- a concatenation is written in place, part by part;
- the images of a first convolution of few channels are stored as its windows.

A convolution in groups becomes a step for each range of groups whose inputs share words.
"""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from adq.golden.formats import ActivationFormat
from adq.golden.network import (
    INPUT,
    AveragePool2d,
    Concat,
    Conv2d,
    Flatten,
    Gather,
    Linear,
    Lookup,
    MatrixLayer,
    MaxPool2d,
    Network,
    Node,
    Requantize,
    Rescale,
    Reshape,
)
from adq.golden.platform.planning.layout import Layout, pitch_of
from adq.golden.platform.planning.selection import selection_of
from adq.golden.platform.planning.steps import (
    Buffer,
    InputWindows,
    Lowered,
    PlanError,
    Pool,
    Step,
    View,
)
from adq.rtl.platform.descriptors import Mode


def lower(network: Network, word_bits: int) -> Lowered:
    """Turn a network into steps, for words of ``word_bits`` bits.

    Raises
    ------
    PlanError
        A node has no form on the platform.

    """
    return _Lowering(network, word_bits).lowered()


class _Lowering:
    def __init__(self, network: Network, word_bits: int):
        self.network = network
        self.word_bits = word_bits
        self.views: dict[str, View] = {}
        self.steps: list[Step] = []
        self.readers: dict[str, list[Node]] = {INPUT: [], **{n.name: [] for n in network.nodes}}
        for node in network.nodes:
            for name in node.reads:
                self.readers[name].append(node)
        self.pools = {
            node.input: node for node in network.nodes if isinstance(node, MaxPool2d)
            and self._follows(node)
        }  # fmt: skip
        self.concats = {node.name: node for node in network.nodes if isinstance(node, Concat)}
        self.placed = self._places()
        self.buffers: dict[str, Buffer] = {}
        self.windows: InputWindows | None = None

    def lowered(self) -> Lowered:
        self._place_input()
        for node in self.network.nodes:
            self._check(node)
            self._lower(node)
        outputs = {
            name: self.views[name] if name in self.network.formats else None
            for name in self.network.outputs
        }
        return Lowered(
            network=self.network,
            steps=tuple(self.steps),
            input=self.views[INPUT],
            windows=self.windows,
            outputs=outputs,
        )

    # Tensors

    def _image_shape(self, name: str) -> tuple[int, int, int]:
        shape = self.network.shapes[name]
        return (shape[0], 1, 1) if len(shape) == 1 else (shape[0], shape[1], shape[2])

    def _layout(self, shape: tuple[int, int, int], target: ActivationFormat) -> Layout:
        channels, height, width = shape
        return Layout(
            word_bits=self.word_bits,
            channels=channels,
            height=height,
            width=width,
            planes=target.bits,
            signed=target.signed,
        )

    def _places(self) -> dict[str, tuple[str, int]]:
        """Find tensors that are written into a concatenation: its name, and their first channel."""
        placed: dict[str, tuple[str, int]] = {}
        for node in self.network.nodes:
            channel = 0
            if not isinstance(node, Concat):
                continue
            for name in node.reads:
                if name != INPUT and name not in placed and not self._is_view(name):
                    placed[name] = (node.name, channel)
                channel += self.network.shapes[name][0]
        return placed

    def _is_view(self, name: str) -> bool:
        return name != INPUT and isinstance(self.network[name], Flatten | Reshape)

    def _target(self, name: str) -> View:
        """Return where a node's output is to be written."""
        channels = self._image_shape(name)[0]
        root, channel = name, 0
        while root in self.placed:
            root, offset = self.placed[root]
            channel += offset
        if root not in self.buffers:
            layout = self._layout(self._image_shape(root), self.network.formats[root])
            self.buffers[root] = Buffer(root, layout)
        return View(self.buffers[root], channel, channels)

    def _place_input(self) -> None:
        network = self.network
        shape, source = self._image_shape(INPUT), network.input_format
        readers = self.readers[INPUT]
        if len(readers) == 1 and isinstance(readers[0], Conv2d) and len(network.input_shape) == 3:
            node = readers[0]
            channels, (height, width) = shape[0], node.kernel
            elements = channels * height * width
            pitch = pitch_of(channels, self.word_bits)
            span = ((width - 1) * node.dilation[1] + 1) * pitch
            plain = height * -(-span // self.word_bits)
            in_windows = -(-elements // self.word_bits)
            if node.groups == 1 and pitch < self.word_bits and in_windows < plain:
                self.windows = InputWindows(
                    kernel=node.kernel,
                    stride=node.stride,
                    padding=node.padding,
                    dilation=node.dilation,
                )
                shape = (elements, *self._image_shape(node.name)[1:])
        self.views[INPUT] = View(Buffer(INPUT, self._layout(shape, source)), 0, shape[0])

    # Nodes

    def _check(self, node: Node) -> None:
        requantize = getattr(node, "requantize", None)
        if requantize is not None and requantize.has_wide_skip:
            raise PlanError(
                f"{node.name}: its skip multipliers have more than 16 bits, as in artifacts of "
                "format version 3: write it anew with adq convert, or export it again"
            )

    def _lower(self, node: Node) -> None:
        match node:
            case Conv2d() | Linear():
                self._matrix(node)
            case AveragePool2d() | Rescale():
                self._by_channel(node)
            case Lookup():
                self._by_channel(node)
            case MaxPool2d():
                if self.pools.get(node.input) is not node:
                    self._by_channel(node)
            case Flatten():
                self.views[node.name] = dataclasses.replace(self.views[node.input], flat=True)
            case Concat():
                self._concat(node)
            case Gather():
                self._gather(node)
            case Reshape() if len(node.to) == 1:
                self.views[node.name] = dataclasses.replace(self.views[node.input], flat=True)
            case _:
                raise PlanError(
                    f"{node.name}: the platform has no {type(node).__name__} of {node.input}: "
                    "write this part of the network with layers, pooling, additions and "
                    "concatenations"
                )

    def _follows(self, pool: MaxPool2d) -> bool:
        """Return whether a pooling is computed behind the step that it reads."""
        if pool.input == INPUT or pool.input in self.network.outputs:
            return False
        before = self.network[pool.input]
        return (
            isinstance(before, MatrixLayer | AveragePool2d | Rescale | Lookup)
            and self.readers[pool.input] == [pool]
            and pool.kernel == pool.stride
            and pool.padding == (0, 0)
        )

    def _source(self, node: Node) -> View:
        view = self.views[node.input]
        whole = view.height == view.width == 1
        if view.flat and not whole and not isinstance(node, Linear):
            raise PlanError(
                f"{node.name}: reads {node.input}, images as a vector, which the platform gives to "
                "linear layers alone"
            )
        return view

    def _matrix(self, node: Conv2d | Linear) -> None:
        source = self._source(node)
        weight = node.weight.astype(np.int64)
        stride, padding, dilation, groups = (1, 1), (0, 0), (1, 1), 1
        if isinstance(node, Linear):
            weight = weight.reshape(len(weight), source.channels, source.height, source.width)
        elif node.input == INPUT and self.windows is not None:
            # Rows of a window stand in the order (row, column, channel).
            weight = weight.transpose(0, 2, 3, 1).reshape(len(weight), -1, 1, 1)
        else:
            stride, padding = node.stride, node.padding
            dilation, groups = node.dilation, node.groups
        self._append(
            node,
            source,
            weight,
            weight_bits=node.hardware_weight_bits,
            trained_bits=node.weight_bits,
            bias=node.bias,
            requantize=node.requantize,
            accumulator_bits=self.network.accumulator_bits(node.name),
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
        )

    def _by_channel(self, node: Node, requantize: Requantize | None = None) -> None:
        """Append a node that computes every channel by itself, as a convolution by ones."""
        source = self._source(node)
        kernel, stride = (1, 1), (1, 1)
        source_format = self.network.formats[node.input]
        if isinstance(node, AveragePool2d):
            kernel, stride = node.kernel, node.stride
        if isinstance(node, AveragePool2d | Rescale):
            requantize = node.requantize
        if isinstance(node, MaxPool2d):
            requantize = _unchanged(source.channels, source_format)
        self._append(
            node,
            source,
            np.ones((source.channels, 1, *kernel), dtype=np.int64),
            requantize=requantize,
            accumulator_bits=(math.prod(kernel) * source_format.magnitude).bit_length() + 1,
            stride=stride,
            groups=source.channels,
        )

    def _gather(self, node: Gather) -> None:
        """Append a selection of channels, rows and columns."""
        source = self._source(node)
        found = selection_of(node, source.channels, (source.height, source.width))
        if found is None:
            raise PlanError(
                f"{node.name}: the platform selects rows and columns of {node.input} at equal "
                "distances alone: write what repeats or reverses them with layers"
            )
        source_format = self.network.formats[node.input]
        self._append(
            node,
            source,
            found.weight,
            requantize=_unchanged(len(found.weight), source_format),
            accumulator_bits=source_format.bits + 1,
            stride=found.stride,
            padding=found.padding,
            dilation=found.dilation,
        )

    def _concat(self, node: Concat) -> None:
        """Write what is not written in place, and name the whole."""
        target = self._target(node.name)
        channel = 0
        seen: set[str] = set()
        for name in node.reads:
            channels = self.network.shapes[name][0]
            if name in seen or self.placed.get(name, ("",))[0] != node.name:
                view = self.views[name]
                if view.flat and (view.height, view.width) != (1, 1):
                    raise PlanError(
                        f"{node.name}: joins {name}, images as a vector, which lie in another "
                        "order: join them before flattening"
                    )
                part = View(target.buffer, target.channel + channel, channels)
                requantize = _unchanged(channels, self.network.formats[name])
                self._copy(node, view, part, requantize, channel)
            seen.add(name)
            channel += channels
        self.views[node.name] = target

    def _copy(
        self, node: Concat, source: View, target: View, requantize: Requantize, first: int
    ) -> None:
        self._append(
            node,
            source,
            np.ones((source.channels, 1, 1, 1), dtype=np.int64),
            requantize=requantize,
            accumulator_bits=requantize.format.bits + 1,
            groups=source.channels,
            target=target,
            first=first,
        )

    def _append(
        self,
        node: Node,
        source: View,
        weight: np.ndarray,
        *,
        requantize: Requantize | None,
        accumulator_bits: int,
        weight_bits: int = 2,
        trained_bits: int = 2,
        bias: np.ndarray | None = None,
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int] = (0, 0),
        dilation: tuple[int, int] = (1, 1),
        groups: int = 1,
        target: View | None = None,
        first: int = 0,
    ) -> None:
        """Append the steps of a node, and name its output.

        Defaults are those of a node without weights, which computes with 0 and 1.
        """
        pool = Pool()
        name = node.name
        follower = self.pools.get(name) if target is None else None
        if isinstance(node, MaxPool2d):
            follower = node
        if follower is not None:
            name = follower.name
            pool = Pool(
                kernel=follower.kernel,
                stride=follower.stride,
                padding=follower.padding,
                name=follower.name,
            )
        mode = Mode.REQUANTIZE
        table: np.ndarray | None = None
        if isinstance(node, Lookup):
            mode, table = Mode.TABLE, node.table.astype(np.int64)
        elif requantize is None:
            mode = Mode.RAW
        outputs = len(weight)
        multiplier = np.ones(outputs, dtype=np.int64)
        skip_multiplier: np.ndarray = np.zeros(outputs, dtype=np.int64)
        bias = np.zeros(outputs, dtype=np.int64) if bias is None else bias.astype(np.int64)
        constant = bias
        skip, shift, skip_shift = None, 0, 0
        if requantize is not None:
            multiplier = requantize.multiplier.astype(np.int64)
            constant = bias * multiplier + requantize.rounding
            if requantize.offset is not None:
                constant = constant + requantize.offset
            shift, skip_shift = requantize.shift, requantize.skip_shift
            if requantize.skip is not None and requantize.skip_multiplier is not None:
                skip = self.views[requantize.skip]
                skip_multiplier = requantize.skip_multiplier
        if target is None and mode != Mode.RAW:
            target = self._target(name)
            self.views[name] = target
        sides = self._image_shape(node.name)[1:]
        if isinstance(node, MaxPool2d):
            sides = source.height, source.width
        for part, group, count in _ranges(source, weight, groups, self.word_bits):
            self.steps.append(
                Step(
                    node=node.name,
                    first=first + part.start,
                    source=source,
                    weight=weight[part],
                    groups=count,
                    channel=source.channel + group * weight.shape[1],
                    weight_bits=weight_bits,
                    trained_bits=trained_bits,
                    stride=stride,
                    padding=padding,
                    dilation=dilation,
                    shape=sides,
                    mode=mode,
                    accumulator_bits=accumulator_bits,
                    multiplier=multiplier[part],
                    skip_multiplier=skip_multiplier[part],
                    constant=constant[part],
                    shift=shift,
                    skip_shift=skip_shift,
                    table=table,
                    skip=_part_of(skip, part),
                    target=_part_of(target, part),
                    pool=pool,
                )
            )


def _part_of(view: View | None, part: slice) -> View | None:
    if view is None:
        return None
    return View(view.buffer, view.channel + part.start, part.stop - part.start)


def _ranges(
    source: View, weight: np.ndarray, groups: int, word_bits: int
) -> Iterator[tuple[slice, int, int]]:
    """Yield outputs, first group and groups of the parts of a layer that read the same words."""
    each, inputs = len(weight) // groups, weight.shape[1]
    if groups == 1 or source.buffer.layout.pitch < word_bits:
        yield slice(0, len(weight)), 0, groups
        return
    first, words = 0, None
    for group in range(groups + 1):
        channel = source.channel + group * inputs
        reads = (channel // word_bits, (channel + inputs - 1) // word_bits)
        if group == groups or (words is not None and reads != words):
            yield slice(first * each, group * each), first, group - first
            first = group
        words = reads


def _unchanged(channels: int, target: ActivationFormat) -> Requantize:
    return Requantize(multiplier=np.ones(channels, dtype=np.int64), shift=0, format=target)
