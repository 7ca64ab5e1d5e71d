"""The interpreter: what the platform computes, from a program's bytes and the input memory.

It reads descriptors as the platform does, fetches words of bit planes from the plane memory,
weight bits from the blocks, and writes planes back. How work is spread over tiles decides in which
order weight blocks stand, and no integer.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from adq.golden.platform.checks import UNIT, Memories, check, row_blocks, weight_shape
from adq.golden.platform.planning.layout import row_words
from adq.golden.platform.planning.thresholds import compared
from adq.rtl.platform.descriptors import (
    DESCRIPTOR_BYTES,
    Descriptor,
    DescriptorError,
    End,
    Layer,
    Load,
    Loop,
    Mode,
    Store,
    When,
    unpack,
)
from adq.rtl.platform.parameters import PlatformParameters


@dataclass(frozen=True, kw_only=True, eq=False)
class Executed:
    """Results of a ``Layer`` in one pass. V vectors, O outputs."""

    index: int
    """Place of the descriptor in the program."""
    image: np.ndarray
    """int64 (V,): image of each vector, counted from the first of the run."""
    row: np.ndarray
    """int64 (V,): row of the convolution's output; outside of it where pooling reaches beyond."""
    column: np.ndarray
    """int64 (V,): column, likewise."""
    accumulators: np.ndarray
    """int64 (V, O): sums of products, without bias."""
    results: np.ndarray
    """int64 (V, O): activations before pooling; in mode ``RAW`` accumulators with bias."""
    pooled: np.ndarray
    """int64 (V / pixels of a window, O): what is written, by window."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A descriptor that is carried out."""

    index: int
    """Place of the descriptor in the program."""
    descriptor: Layer | Load | Store
    images: range
    """Images that it is carried out for, counted from the first of the run."""


class Interpreter:
    """Runs a program.

    Parameters
    ----------
    platform
        Sizes of the platform.
    program
        The program's memory image, descriptors first.
    inputs
        The input memory.
    output_bytes
        Size of the output memory.

    """

    def __init__(
        self, platform: PlatformParameters, program: bytes, inputs: bytes, output_bytes: int
    ):
        self.platform = platform
        self._program = np.frombuffer(program, dtype=np.uint8)
        self._inputs = np.frombuffer(inputs, dtype=np.uint8)
        self.outputs = np.zeros(output_bytes, dtype=np.uint8)
        """The output memory."""
        self.planes = np.zeros((platform.plane_memory_words, platform.rows), dtype=np.uint8)
        """The plane memory: bits of each word."""
        self._descriptors = list(self._decoded())
        loops = [each for each in self._descriptors if isinstance(each, Loop)]
        images = 1
        for loop in loops:
            images += (loop.count - 1) << loop.images_log
        if loops:
            images += (1 << loops[0].images_log) - 1
        memories = Memories(
            program_bytes=len(program), input_bytes=len(inputs), output_bytes=output_bytes
        )
        for index, descriptor in enumerate(self._descriptors):
            check(descriptor, index, platform, memories, images)

    def _decoded(self) -> Iterator[Descriptor]:
        """Yield the descriptors up to the end of the program."""
        loops = 0
        for index in range(self.platform.largest_descriptors):
            first = index * DESCRIPTOR_BYTES
            data = self._program[first : first + DESCRIPTOR_BYTES].tobytes()
            if len(data) < DESCRIPTOR_BYTES:
                raise DescriptorError(index, "operation", "the program ends without an End")
            descriptor = unpack(data, index)
            loops += isinstance(descriptor, Loop)
            if loops > self.platform.loop_levels:
                raise DescriptorError(
                    index, "operation", f"more than {self.platform.loop_levels} loops"
                )
            yield descriptor
            if isinstance(descriptor, End):
                return
        raise DescriptorError(
            self.platform.largest_descriptors, "operation", "the program ends without an End"
        )

    def order(self) -> Iterator["Turn"]:
        """Yield descriptors in the order in which they are carried out, loops unrolled."""
        loops = {index: d for index, d in enumerate(self._descriptors) if isinstance(d, Loop)}
        done = dict.fromkeys(loops, 0)
        index = 0
        while True:
            descriptor = self._descriptors[index]
            if isinstance(descriptor, End):
                return
            if isinstance(descriptor, Loop):
                done[index] += 1
                if done[index] < descriptor.count:
                    index = 0
                    continue
                done[index] = 0
            elif isinstance(descriptor, Layer | Load | Store):
                image = sum(done[at] << loop.images_log for at, loop in loops.items())
                last = all(done[at] == loop.count - 1 for at, loop in loops.items())
                images = range(image, image + (1 << descriptor.images_log))
                if isinstance(descriptor, Load):
                    if descriptor.when == When.FIRST_PASS and image:
                        images = range(0)
                    elif descriptor.when == When.AHEAD:
                        ahead = 1 << descriptor.images_log
                        images = range(images.start + ahead, images.stop + ahead)
                        images = range(0) if last else images
                yield Turn(index=index, descriptor=descriptor, images=images)
            index += 1

    def run(self) -> Iterator[Executed]:
        """Run the program, and yield what each ``Layer`` computes, as it computes it."""
        for turn in self.order():
            descriptor = turn.descriptor
            if isinstance(descriptor, Layer):
                yield self._layer(descriptor, turn.index, turn.images.start)
            elif isinstance(descriptor, Load):
                for image in turn.images:
                    address, words = self.loaded(descriptor, image)
                    self.planes[address : address + descriptor.words] = words
            elif isinstance(descriptor, Store):
                self._store(descriptor, turn.images)

    # Copies

    def loaded(self, d: Load, image: int) -> tuple[int, np.ndarray]:
        """Return where a ``Load`` puts an image, and its words: uint8 (words, bits of a word)."""
        size = d.words * self.platform.rows // 8
        first = d.memory * UNIT + image * size
        data = self._inputs[first : first + size].reshape(d.words, -1)
        words = np.unpackbits(data, axis=1, bitorder="little")
        return d.address + image % (1 << d.slots_log) * d.words, words

    def _store(self, d: Store, images: range) -> None:
        size = d.words * self.platform.rows // 8
        for each in images:
            address = d.address + each % (1 << d.slots_log) * d.words
            words = self.planes[address : address + d.words]
            first = d.memory * UNIT + each * size
            packed = np.packbits(words, axis=1, bitorder="little")
            self.outputs[first : first + size] = packed.reshape(-1)

    # Layers

    def _layer(self, d: Layer, index: int, image: int) -> Executed:
        images, rows, columns = _vectors(d, image)
        weights = self._weights(d)
        sums = np.zeros((len(images), d.outputs), dtype=np.int64)
        for block in range(row_blocks(d, self.platform.rows)):
            sums += self._products(d, block, images, rows, columns, weights[:, block])
        sums = _wrapped(sums, d.accumulator_bits)
        inside = (rows >= 0) & (rows < d.height) & (columns >= 0) & (columns < d.width)
        if d.mode == Mode.TABLE:
            results = self._looked_up(d, sums)
        elif d.mode == Mode.THRESHOLDS:
            results = self._compared(d, sums)
        else:
            results = self._requantized(d, sums, images, rows, columns, inside)
        pooled = results
        if d.window > 1 or not inside.all():
            least = -(1 << (d.target_planes - 1)) if d.target_signed else 0
            pooled = np.where(inside[:, None], results, least)
            pooled = pooled.reshape(-1, d.window, d.outputs).max(axis=1)
        if d.mode == Mode.RAW:
            self._write_raw(d, pooled, image)
        else:
            self._write_planes(d, pooled, image)
        return Executed(
            index=index,
            image=images,
            row=rows,
            column=columns,
            accumulators=sums,
            results=results,
            pooled=pooled,
        )

    def _weights(self, d: Layer) -> np.ndarray:
        """Weights of a layer: float64 (O, row blocks, rows of a tile)."""
        platform, bits = self.platform, d.weight_bits
        shape = weight_shape(d, platform)
        groups, rounds, split, stack, columns = shape
        size = int(np.prod(shape)) * platform.block_bytes
        first = d.weights * UNIT
        data = self._program[first : first + size].reshape(*shape, platform.rows, -1)
        lanes = platform.columns // bits
        planes = np.unpackbits(data, axis=-1, bitorder="little").reshape(
            *shape, platform.rows, lanes, bits
        )
        values = 2.0 ** np.arange(bits)
        values[-1] = -values[-1]
        weights = planes @ values  # (group, round, split, stack, column, row, lane)
        weights = weights.transpose(0, 2, 4, 6, 1, 3, 5)
        weights = weights.reshape(groups * split * columns * lanes, rounds * stack, platform.rows)
        return weights[: d.outputs]

    def _products(
        self,
        d: Layer,
        block: int,
        images: np.ndarray,
        rows: np.ndarray,
        columns: np.ndarray,
        weights: np.ndarray,
    ) -> np.ndarray:
        """Sums of products of a row block: int64 (V, O)."""
        bits = self.platform.rows
        row = row_words(d.source_width, d.source_pitch, bits)
        y = rows * d.stride_y - d.padding_y
        x = columns * d.stride_x - d.padding_x
        first = d.source + images % (1 << d.source_slots_log) * (
            d.source_height * d.source_planes * row
        )
        if d.source_pitch < bits:
            pixels = bits // d.source_pitch
            kernel_row, chunk = divmod(block, row_blocks(d, bits) // d.kernel_height)
            y, x = y + kernel_row * d.dilation_y, x + chunk * pixels
            word, offset = np.divmod(x * d.source_pitch, bits)
            seen = x[:, None] + np.arange(bits) // d.source_pitch  # pixel of each bit
            mask = (seen >= 0) & (seen < d.source_width)
            words = 2
        else:
            place, channel = divmod(block, d.source_words)
            kernel_row, kernel_column = divmod(place, d.kernel_width)
            y, x = y + kernel_row * d.dilation_y, x + kernel_column * d.dilation_x
            word, offset = x * (d.source_pitch // bits) + channel, np.zeros_like(x)
            mask = ((x >= 0) & (x < d.source_width))[:, None]
            words = 1
        mask = mask & ((y >= 0) & (y < d.source_height))[:, None]
        values = np.zeros((len(images), bits), dtype=np.int64)
        lowest = y * d.source_planes * row + first
        for plane in range(d.source_planes):
            part = []
            for each in range(words):
                # The masked bits may come from anywhere.
                address = lowest + plane * row + word + each
                part.append(self.planes[np.clip(address, 0, len(self.planes) - 1)])
            fetched = part[0]
            if words > 1:
                chosen = offset[:, None] + np.arange(bits)
                fetched = np.take_along_axis(np.concatenate(part, axis=1), chosen, axis=1)
            negative = d.source_signed and plane == d.source_planes - 1
            values += fetched.astype(np.int64) * (-(1 << plane) if negative else 1 << plane)
        sums: np.ndarray = (values * mask).astype(np.float64) @ weights.T
        return sums.astype(np.int64)

    def _requantized(
        self,
        d: Layer,
        sums: np.ndarray,
        images: np.ndarray,
        rows: np.ndarray,
        columns: np.ndarray,
        inside: np.ndarray,
    ) -> np.ndarray:
        first = d.parameters * UNIT
        records = self._program[first : first + UNIT * d.outputs].tobytes()
        parameters = np.frombuffer(
            records,
            dtype=[("multiplier", "<i2"), ("skip", "<i2"), ("unused", "<i4"), ("constant", "<i8")],
        )
        total: np.ndarray = (
            sums * parameters["multiplier"].astype(np.int64) + parameters["constant"]
        )
        if d.skip:
            skip = self._skip(d, images, rows * inside, columns * inside)
            total += (skip * parameters["skip"].astype(np.int64)) << d.skip_shift
        if d.mode == Mode.RAW:
            return total
        least = -(1 << (d.target_planes - 1)) if d.target_signed else 0
        most = least + (1 << d.target_planes) - 1
        activations: np.ndarray = np.clip(total >> d.shift, least, most)
        return activations

    def _skip(
        self, d: Layer, images: np.ndarray, rows: np.ndarray, columns: np.ndarray
    ) -> np.ndarray:
        """Return the addends of a skip connection: int64 (V, O)."""
        bits = self.platform.rows
        row = row_words(d.width, d.skip_pitch, bits)
        first = d.skip_address + images % (1 << d.skip_slots_log) * (d.height * d.skip_planes * row)
        place = columns[:, None] * d.skip_pitch + d.skip_channel + np.arange(d.outputs)
        word, bit = np.divmod(place, bits)
        lowest = (first + rows * d.skip_planes * row)[:, None] + word
        values = np.zeros(place.shape, dtype=np.int64)
        for plane in range(d.skip_planes):
            fetched = self.planes[lowest + plane * row, bit].astype(np.int64)
            negative = d.skip_signed and plane == d.skip_planes - 1
            values += fetched * (-(1 << plane) if negative else 1 << plane)
        return values

    def _compared(self, d: Layer, sums: np.ndarray) -> np.ndarray:
        first = d.parameters * UNIT
        records = self._program[first : first + UNIT * d.outputs].tobytes()
        return compared(sums, records, planes=d.target_planes, signed=bool(d.target_signed))

    def _looked_up(self, d: Layer, sums: np.ndarray) -> np.ndarray:
        entries = 1 << d.source_planes
        first = d.parameters * UNIT
        data = self._program[first : first + 2 * entries].tobytes()
        table = np.frombuffer(data, dtype="<u2").astype(np.int64)
        lowest = -(entries >> 1) if d.source_signed else 0
        found = table[(sums - lowest) % entries]
        found = found % (1 << d.target_planes)
        return _wrapped(found, d.target_planes) if d.target_signed else found

    def _write_raw(self, d: Layer, values: np.ndarray, image: int) -> None:
        height, width = d.pooled
        pixels = image * height * width + np.arange(len(values))
        places = d.target * (UNIT // 8) + pixels[:, None] * d.target_pitch + d.target_channel
        whole = len(self.outputs) // 8 * 8
        self.outputs[:whole].view("<i8")[places + np.arange(d.outputs)] = values

    def _write_planes(self, d: Layer, values: np.ndarray, image: int) -> None:
        bits = self.platform.rows
        height, width = d.pooled
        row = row_words(width, d.target_pitch, bits)
        window = np.arange(len(values))
        each, pixel = np.divmod(window, height * width)
        y, x = np.divmod(pixel, width)
        slot = (image + each) % (1 << d.target_slots_log)
        place = x[:, None] * d.target_pitch + d.target_channel + np.arange(d.outputs)
        word, bit = np.divmod(place, bits)
        lowest = (d.target + (slot * height + y) * d.target_planes * row)[:, None] + word
        for plane in range(d.target_planes):
            self.planes[lowest + plane * row, bit] = values >> plane & 1


def _vectors(d: Layer, image: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, row and column of the convolution of each vector, in the order of pooling windows."""
    height, width = d.pooled
    sides = (d.images, height, width, d.pool_height, d.pool_width)
    images, top, left, down, right = (each.reshape(-1) for each in np.indices(sides))
    rows = top * d.pool_stride_y + down - d.pool_padding_y
    columns = left * d.pool_stride_x + right - d.pool_padding_x
    return images + image, rows, columns


def _wrapped(values: np.ndarray, bits: int) -> np.ndarray:
    """Return what two's complement of ``bits`` bits keeps of integers."""
    if bits == 64:
        return values
    half = 1 << (bits - 1)
    return ((values + half) & ((1 << bits) - 1)) - half
