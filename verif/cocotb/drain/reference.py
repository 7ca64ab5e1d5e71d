"""The drain's settings, random layers and results, slow and obvious."""

from collections.abc import Iterator
from random import Random

from adq.rtl.platform.descriptors import Layer, Mode
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.results.drain_settings import TABLE_PLANES

__all__ = ["Results", "chunks_of", "random_layer", "settings_of", "wrapped"]


def wrapped(number: int, bits: int) -> int:
    """Return what two's complement of ``bits`` bits keeps of a number."""
    return (number + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))


def _row(width: int, pitch: int, bits: int) -> int:
    return -(-width * pitch // bits)


def settings_of(layer: Layer, image: int, p: PlatformParameters) -> dict[str, int | dict]:
    """Return the settings of a layer, as the members of ``drain_layout``.

    ``image`` is the first image of the pass.
    """
    d, bits = layer, p.rows
    height, width = d.pooled
    table = d.mode == Mode.TABLE

    def tensor(name: str, first: int, height: int, width: int, planes: int) -> dict[str, int]:
        pitch, slots_log = getattr(d, f"{name}_pitch"), getattr(d, f"{name}_slots_log")
        plane = _row(width, pitch, bits)
        slot = image % (1 << slots_log)
        words = height * planes * plane
        return {
            "slot": slot,
            "slots": (1 << slots_log) - 1,
            "origin": first + slot * words,
            "slot_zero": first,
            "image": words,
            "plane": plane,
            "channel": getattr(d, f"{name}_channel"),
            "row": planes * plane,
            "pitch": pitch,
        }

    target = tensor("target", d.target, height, width, d.target_planes)
    raw_first = 2 * d.target + image * height * width * d.target_pitch
    # The first pixel of the first pooling window.
    above = d.pool_padding_y * d.skip_planes * _row(d.width, d.skip_pitch, bits)
    skip = tensor("skip", d.skip_address - above, d.height, d.width, d.skip_planes)
    return {
        "weight_bits": 1 << p.tile.weight_widths.index(d.weight_bits),
        "accumulator_bits": d.accumulator_bits,
        "outputs": d.outputs,
        "group": p.columns // d.weight_bits,
        "raw": int(d.mode == Mode.RAW),
        "table": int(table),
        "thresholds": int(d.mode == Mode.THRESHOLDS),
        "shift": d.shift,
        "skip_shift": d.skip_shift,
        "planes": d.target_planes,
        "signed": d.target_signed,
        "table_planes": d.source_planes if table else 0,
        "table_signed": d.source_signed,
        "images": d.images - 1,
        "windows_y": height - 1,
        "windows_x": width - 1,
        "pool_y": d.pool_height - 1,
        "pool_x": d.pool_width - 1,
        "window": d.window,
        "pool_stride_y": d.pool_stride_y,
        "pool_stride_x": d.pool_stride_x,
        "first_row": -d.pool_padding_y,
        "first_column": -d.pool_padding_x,
        "height": d.height,
        "width": d.width,
        "target": target | {"x": raw_first if d.mode == Mode.RAW else 0},
        "skips": d.skip,
        "skip": skip
        | {
            "x": -d.pool_padding_x * d.skip_pitch,
            "window_y": d.pool_stride_y * skip["row"],
            "window_x": d.pool_stride_x * d.skip_pitch,
            "planes": d.skip_planes,
            "signed": d.skip_signed,
        },
    }


def random_layer(random: Random, p: PlatformParameters, **fixed: int) -> Layer:
    """Draw a layer whose target and skip connection fit into the plane memory side by side.

    It has at most 900 sums. What concerns its source is of no account.
    """
    while True:
        layer = _drawn(random, p, fixed)
        if layer is not None:
            return layer


def _drawn(random: Random, p: PlatformParameters, fixed: dict[str, int]) -> Layer | None:
    bits = p.rows
    fields: dict[str, int] = {
        "weight_bits": random.choice(p.tile.weight_widths),
        "source_planes": random.randint(1, TABLE_PLANES),
        "source_signed": random.randrange(2),
        "mode": random.choice((Mode.REQUANTIZE,) * 4 + (Mode.RAW, Mode.TABLE, Mode.THRESHOLDS)),
        "target_planes": random.choice((1, 2, 3, 5, 16)),
        "target_signed": random.randrange(2),
        "skip": random.randrange(2),
        "skip_planes": random.choice((1, 2, 4, 16)),
        "skip_signed": random.randrange(2),
        "shift": random.choice((0, 3, 12, 30)),
        "skip_shift": random.choice((0, 1, 5, 20)),
        "height": random.randint(1, 6),
        "width": random.randint(1, 6),
        "pool_height": random.choice((1, 1, 2, 3)),
        "pool_width": random.choice((1, 1, 2, 3)),
        "pool_stride_y": random.choice((1, 2, 3)),
        "pool_stride_x": random.choice((1, 2, 3)),
        "pool_padding_y": random.choice((0, 0, 1, 2)),
        "pool_padding_x": random.choice((0, 0, 1, 2)),
        "images_log": random.choice((0, 0, 1, 2)),
        "outputs": random.choice((1, 2, 3, 5, 8, 9, 17, 30)),
        "accumulator_bits": random.randint(1, 34),
    } | fixed
    if fields["mode"] == Mode.RAW:
        fields |= {"pool_height": 1, "pool_width": 1}
    if fields["mode"] == Mode.THRESHOLDS:
        fields["target_planes"] = min(fields["target_planes"], 2)
        fields["accumulator_bits"] = min(fields["accumulator_bits"], 30)
    if fields["mode"] != Mode.REQUANTIZE:
        fields["skip"] = 0
    for name in ("target", "skip"):
        fields.setdefault(f"{name}_slots_log", fields["images_log"] + random.choice((0, 0, 1)))
        least = fields["outputs"] + random.choice((0, 0, 1, 3))
        fields.setdefault(
            f"{name}_pitch",
            -(-least // bits) * bits if least >= bits else 1 << (least - 1).bit_length(),
        )
        room = fields[f"{name}_pitch"] - fields["outputs"]
        if room < 0:
            return None
        fields.setdefault(f"{name}_channel", random.randint(0, room))
    for name in ("source_height", "source_width", "source_pitch", "source_words",
                 "kernel_height", "kernel_width", "stride_y", "stride_x", "dilation_y",
                 "dilation_x", "split"):  # fmt: skip
        fields[name] = 1
    for name in ("padding_y", "padding_x", "stacked", "source", "source_slots_log", "weights",
                 "parameters", "target", "skip_address"):  # fmt: skip
        fields.setdefault(name, 0)
    layer = Layer(**fields)
    height, width = layer.pooled
    if height < 1 or width < 1 or layer.window > p.accumulator_vectors:
        return None
    address = random.randrange(8)
    placed = {"target": address}
    if layer.mode != Mode.RAW:
        row = _row(width, layer.target_pitch, bits)
        address += (height * layer.target_planes * row) << layer.target_slots_log
    placed["skip_address"] = address + random.randrange(4)
    row = _row(layer.width, layer.skip_pitch, bits)
    end = placed["skip_address"] + (
        (layer.height * layer.skip_planes * row) << layer.skip_slots_log
    )
    sums = layer.windows * layer.window * layer.outputs
    if end > p.plane_memory_words or sums > 900:
        return None
    return Layer(**vars(layer) | placed)


def chunks_of(layer: Layer, p: PlatformParameters) -> list[int]:
    """Return the vectors of each job of a group of outputs."""
    most = p.accumulator_vectors // layer.window
    whole, rest = divmod(layer.windows, most)
    return [most * layer.window] * whole + ([rest * layer.window] if rest else [])


class Results:
    """Results of a layer of random sums and parameters, on a memory of random words."""

    def __init__(self, random: Random, layer: Layer, image: int, p: PlatformParameters):
        self.layer, self.image, self.parameters = layer, image, p
        d = layer

        def number(bits: int) -> int:
            return wrapped(random.getrandbits(random.randint(1, bits)), bits)

        vectors = d.windows * d.window
        self.sums = [[number(d.accumulator_bits) for _ in range(d.outputs)] for _ in range(vectors)]
        self.outputs = [(number(16), number(16), number(60)) for _ in range(d.outputs)]
        """M, M_skip and the constant of each output."""
        self.thresholds = [[number(d.accumulator_bits) for _ in range(3)] for _ in range(d.outputs)]
        self.falling = [random.randrange(2) for _ in range(d.outputs)]
        self.table = [random.getrandbits(16) for _ in range(1 << d.source_planes)]
        self.memory = [random.getrandbits(p.rows) for _ in range(p.plane_memory_words)]

    def records(self) -> Iterator[int]:
        """Yield the layer's records."""
        if self.layer.mode == Mode.TABLE:
            for first in range(0, len(self.table), 8):
                entries = self.table[first : first + 8]
                yield sum(entry << 16 * place for place, entry in enumerate(entries))
            return
        if self.layer.mode == Mode.THRESHOLDS:
            for thresholds, falling in zip(self.thresholds, self.falling, strict=True):
                first, second, third = (each % 2**31 for each in thresholds)
                yield first | falling << 31 | second << 64 | third << 96
            return
        for multiplier, skip, constant in self.outputs:
            yield multiplier % 2**16 | skip % 2**16 << 16 | constant % 2**64 << 64

    def vectors(self) -> Iterator[tuple[int, int, int, int, int]]:
        """Yield image, y and x of the window, and row and column of each vector."""
        d = self.layer
        height, width = d.pooled
        for each in range(d.images):
            for y in range(height):
                for x in range(width):
                    for down in range(d.pool_height):
                        for right in range(d.pool_width):
                            row = y * d.pool_stride_y - d.pool_padding_y + down
                            column = x * d.pool_stride_x - d.pool_padding_x + right
                            yield each, y, x, row, column

    def result(self, vector: int, output: int, image: int, row: int, column: int) -> int:
        """Return the activation of an output before pooling, or its raw result."""
        d = self.layer
        total = self.sums[vector][output]
        if d.mode == Mode.TABLE:
            least = -(1 << (d.source_planes - 1)) if d.source_signed else 0
            entry = self.table[(total - least) % len(self.table)] % (1 << d.target_planes)
            return wrapped(entry, d.target_planes) if d.target_signed else entry
        if d.mode == Mode.THRESHOLDS:
            reached = [total >= each for each in self.thresholds[output]]
            if self.falling[output]:
                reached = [not each for each in reached]
            least = -(1 << (d.target_planes - 1)) if d.target_signed else 0
            return least + sum(reached[: 2**d.target_planes - 1])
        multiplier, skip, constant = self.outputs[output]
        total = total * multiplier + constant
        if d.skip:
            total += self.skip(output, image, row, column) * skip << d.skip_shift
        total = wrapped(total, 64)
        if d.mode == Mode.RAW:
            return total
        least = -(1 << (d.target_planes - 1)) if d.target_signed else 0
        return min(max(total >> d.shift, least), least + (1 << d.target_planes) - 1)

    def skip(self, output: int, image: int, row: int, column: int) -> int:
        """Return what is added to an output, bit by bit."""
        d, bits = self.layer, self.parameters.rows
        plane_words = _row(d.width, d.skip_pitch, bits)
        slot = (self.image + image) % (1 << d.skip_slots_log)
        word, bit = divmod(column * d.skip_pitch + d.skip_channel + output, bits)
        number = 0
        for plane in range(d.skip_planes):
            rows = (slot * d.height + row) * d.skip_planes + plane
            number |= (self.memory[d.skip_address + rows * plane_words + word] >> bit & 1) << plane
        return wrapped(number, d.skip_planes) if d.skip_signed else number

    def expected(self) -> tuple[list[int], dict[int, int]]:
        """Return the plane memory and the raw results, by their place, behind the layer."""
        d, bits = self.layer, self.parameters.rows
        memory, raw = list(self.memory), {}
        height, width = d.pooled
        plane_words = _row(width, d.target_pitch, bits)
        least = -(1 << (d.target_planes - 1)) if d.target_signed else 0
        windows: dict[tuple[int, int, int], list[int]] = {}
        for vector, (image, y, x, row, column) in enumerate(self.vectors()):
            best = windows.setdefault((image, y, x), [least] * d.outputs)
            inside = 0 <= row < d.height and 0 <= column < d.width
            for output in range(d.outputs):
                if d.mode == Mode.RAW:
                    pixel = ((self.image + image) * height + y) * width + x
                    place = 2 * d.target + pixel * d.target_pitch + d.target_channel + output
                    raw[place] = self.result(vector, output, image, row, column)
                elif inside:
                    found = self.result(vector, output, image, row, column)
                    best[output] = max(best[output], found)
        if d.mode == Mode.RAW:
            return memory, raw
        for (image, y, x), best in windows.items():
            slot = (self.image + image) % (1 << d.target_slots_log)
            for output, value in enumerate(best):
                word, bit = divmod(x * d.target_pitch + d.target_channel + output, bits)
                for plane in range(d.target_planes):
                    rows = (slot * height + y) * d.target_planes + plane
                    address = d.target + rows * plane_words + word
                    memory[address] &= ~(1 << bit)
                    memory[address] |= (value >> plane & 1) << bit
        return memory, raw
