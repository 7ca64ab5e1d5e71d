"""Steps of the platform: convolutions with what follows their sums, and the tensors they read."""

import math
from dataclasses import dataclass

import numpy as np

from adq.golden.network import Network
from adq.golden.platform.planning.layout import Layout


class PlanError(ValueError):
    """A network that the platform cannot run; the message says which node, why, what to change."""


@dataclass(eq=False)
class Buffer:
    """A tensor in the plane memory, or several side by side along their channels."""

    name: str
    layout: Layout
    slots: int = 1
    """Images for which it has room."""
    address: int = 0
    """First word."""

    @property
    def words(self) -> int:
        """Words of all images."""
        return self.slots * self.layout.image_words


@dataclass(frozen=True, eq=False)
class View:
    """A tensor: some channels of a buffer."""

    buffer: Buffer
    channel: int
    """First channel."""
    channels: int
    flat: bool = False
    """True if the network takes it as a vector, in the order (channel, row, column)."""

    @property
    def height(self) -> int:
        """Rows."""
        return self.buffer.layout.height

    @property
    def width(self) -> int:
        """Columns."""
        return self.buffer.layout.width


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A maximum pooling behind a step."""

    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    name: str | None = None
    """Node, or None for no pooling."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """A convolution, and what follows each of its sums."""

    node: str
    """Node whose accumulators it computes."""
    first: int
    """Output channel of the node that is its first output; of the copy into a concatenation, that
    of the concatenation."""
    source: View
    weight: np.ndarray
    """(O, C/groups, KH, KW)."""
    groups: int
    channel: int
    """Channel of the buffer that the first group reads first."""
    weight_bits: int
    """kw in the tile."""
    trained_bits: int
    """k of the weights."""
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    shape: tuple[int, int]
    """Rows and columns of the convolution's output."""
    mode: int
    accumulator_bits: int
    multiplier: np.ndarray
    """M: int64 (O,)."""
    skip_multiplier: np.ndarray
    """M_skip: int64 (O,), 0 where there is no skip connection."""
    constant: np.ndarray
    """int64 (O,): what is added before the shift: bias times M, offset, and 2^(S-1)."""
    shift: int
    skip_shift: int
    table: np.ndarray | None
    """int64 (2^bits,), in mode ``TABLE``."""
    skip: View | None
    target: View | None
    """None in mode ``RAW``."""
    pool: Pool

    @property
    def outputs(self) -> int:
        """O."""
        return len(self.weight)

    @property
    def kernel(self) -> tuple[int, int]:
        """Rows and columns of the kernel."""
        _, _, height, width = self.weight.shape
        return height, width

    @property
    def pooled(self) -> tuple[int, int]:
        """Rows and columns behind the pooling."""
        sides = zip(self.shape, self.pool.kernel, self.pool.stride, self.pool.padding, strict=True)
        height, width = ((side + 2 * pad - size) // step + 1 for side, size, step, pad in sides)
        return height, width

    @property
    def word_range(self) -> tuple[int, int]:
        """First word of a pixel that it reads, and how many."""
        layout = self.source.buffer.layout
        if layout.pitch < layout.word_bits:
            return 0, 1
        first = self.channel // layout.word_bits
        end = self.channel + self.groups * self.weight.shape[1]
        return first, -(-end // layout.word_bits) - first

    @property
    def blocks(self) -> int:
        """Row blocks."""
        layout, (height, width) = self.source.buffer.layout, self.kernel
        if layout.pitch < layout.word_bits:
            pixels = layout.word_bits // layout.pitch
            return height * -(-((width - 1) * self.dilation[1] + 1) // pixels)
        return height * width * self.word_range[1]

    @property
    def rows(self) -> int:
        """Rows of the array that hold a weight of any output, over all row blocks."""
        return self.groups * math.prod(self.weight.shape[1:])

    def block_weights(self) -> np.ndarray:
        """Return the weights in the order of the rows: int64 (O, blocks, bits of a word)."""
        layout, (height, width) = self.source.buffer.layout, self.kernel
        bits, pitch = layout.word_bits, layout.pitch
        first_word, words = self.word_range
        if pitch < bits:
            pixels, step = self.blocks // height * (bits // pitch), self.dilation[1]
            dense = np.zeros((self.outputs, height, pixels, pitch), dtype=np.int64)
            elements = dense[:, :, : (width - 1) * step + 1 : step]
        else:
            dense = np.zeros((self.outputs, height, width, words * bits), dtype=np.int64)
            elements = dense
        each = self.outputs // self.groups
        inputs = self.weight.shape[1]
        for group in range(self.groups):
            part = slice(group * each, (group + 1) * each)
            channel = self.channel - first_word * bits + group * inputs
            elements[part, :, :, channel : channel + inputs] = self.weight[part].transpose(
                0, 2, 3, 1
            )
        return dense.reshape(self.outputs, self.blocks, bits)


@dataclass(frozen=True, kw_only=True)
class InputWindows:
    """How the images of a first convolution are stored as its windows."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class Lowered:
    """A network as steps."""

    network: Network
    steps: tuple[Step, ...]
    input: View
    windows: InputWindows | None
    """Windows as which the images are stored; None where they are stored as they are."""
    outputs: dict[str, View | None]
    """Tensors that the network returns; None for accumulators."""
