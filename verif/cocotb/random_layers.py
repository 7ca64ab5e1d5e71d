"""Random descriptors of layers that a platform can run."""

from random import Random

from adq.golden.platform.checks import Memories, check, row_blocks
from adq.rtl.platform.descriptors import DescriptorError, Layer, Mode
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.planes.windows import WINDOW_BITS
from adq.rtl.platform.results.thresholds import THRESHOLD_BITS

__all__ = ["any_mode", "random_layer", "vast_layer"]

_ANY = Memories(program_bytes=2**40, input_bytes=2**40, output_bytes=2**40)


def random_layer(
    random: Random, platform: PlatformParameters, *, work: int = 2000, **fixed: int
) -> Layer:
    """Draw a layer whose tensors fit into the plane memory without overlapping.

    It takes at most ``work`` planes, and has at most ``work`` results. Fields can be fixed.
    """
    for _ in range(10_000):
        layer = _drawn(random, platform, fixed)
        try:
            layer.check_ranges(0)
            check(layer, 0, platform, _ANY, layer.images)
        except DescriptorError:
            continue
        lanes = platform.columns // layer.weight_bits
        vectors = layer.windows * layer.window
        blocks = -(-layer.outputs // lanes) * row_blocks(layer, platform.rows)
        if blocks * vectors * layer.source_planes <= work and vectors * layer.outputs <= work:
            return layer
    raise ValueError(f"no layer with {fixed} and at most {work} planes was found")


def vast_layer(random: Random, platform: PlatformParameters) -> Layer:
    """Draw a layer for which there is neither time nor memory, to be begun and given up.

    Some fields are small. Others are little more than a power of two, anywhere in their ranges, so
    that what ignores their high bits differs soon.
    """

    def count(most: int) -> int:
        few = random.randint(1, 3)
        if random.random() < 0.6:
            return min(few, most)
        return min((1 << random.randrange(most.bit_length())) + few - 1, most)

    layer = random_layer(random, platform)
    size = platform.accumulator_vectors
    pool_height = random.randint(1, 3)
    pool_width = random.randint(1, min(3, size // pool_height))
    slots_log = random.randint(0, 15)
    wide = random.randrange(2)
    words = count((1 << 16) // platform.rows - 1) if wide else 1
    vast = {
        "source_height": count(65535),
        "source_width": count(65535),
        "source_pitch": words * platform.rows if wide else layer.source_pitch,
        "source_words": random.choice((words, random.randint(1, words))),
        "kernel_height": count(1023),
        "kernel_width": count(1023),
        "stride_y": count(63),
        "stride_x": count(63),
        "padding_y": count(255) - random.randrange(2),
        "padding_x": count(255) - random.randrange(2),
        "dilation_y": count(255),
        "dilation_x": count(255),
        "height": pool_height - 1 + count(65533),
        "width": pool_width - 1 + count(65533),
        "pool_height": pool_height,
        "pool_width": pool_width,
        "pool_stride_y": count(63),
        "pool_stride_x": count(63),
        "pool_padding_y": count(15) - 1,
        "pool_padding_x": count(15) - 1,
        "outputs": count(65535),
        "images_log": random.choice((0, random.randint(0, slots_log))),
        "source_slots_log": slots_log,
    }
    if not wide and layer.source_pitch >= platform.rows:
        vast["source_pitch"] = platform.rows >> random.randint(1, 3)
    drawn = Layer(**vars(layer) | vast)
    drawn.check_ranges(0)
    if drawn.windows >= 1 << WINDOW_BITS:  # no memory holds that many pixels, and no counter
        return vast_layer(random, platform)
    return drawn


def any_mode(random: Random, mode: int) -> dict[str, int]:
    """Return fields of a layer of a mode, as far as the mode limits them."""
    fixed = {"mode": mode}
    if mode == Mode.TABLE:
        fixed["source_planes"] = random.randint(1, PlatformParameters.table_planes)
    if mode == Mode.THRESHOLDS:
        fixed["target_planes"] = random.randint(1, PlatformParameters.threshold_planes)
        fixed["accumulator_bits"] = random.randint(12, THRESHOLD_BITS - 1)
    return fixed


def _spread(random: Random, platform: PlatformParameters) -> dict[str, int]:
    """Draw how a layer is spread over the units of a platform."""
    stacked = random.randrange(2) if platform.stack > 1 else 0
    units = platform.clusters if stacked else platform.units
    return (
        {
            "stacked": stacked,
            "split": random.choice([each for each in range(1, units + 1) if units % each == 0]),
        }
        if units > 1
        else {"stacked": stacked, "split": 1}
    )


def _drawn(random: Random, platform: PlatformParameters, fixed: dict[str, int]) -> Layer:
    bits = platform.rows
    narrow = [1 << log for log in range(bits.bit_length() - 1)]
    wide = [bits, 2 * bits, 3 * bits]

    def pitch() -> int:
        return random.choice(random.choice((narrow, wide)))

    def pair(*numbers: int) -> tuple[int, int]:
        return random.choice(numbers), random.choice(numbers)

    fields: dict[str, int] = {
        "weight_bits": random.choice(platform.tile.weight_widths),
        "source_planes": random.choice((1, 1, 2, 3, 5, 16)),
        "source_signed": random.randrange(2),
        "source_height": random.randint(1, 7),
        "source_width": random.randint(1, 7),
        "source_pitch": pitch(),
        "outputs": random.choice((1, 2, 3, 5, 8, 9, 17, 30)),
        "images_log": random.choice((0, 0, 1, 2)),
        **_spread(random, platform),
        "accumulator_bits": platform.accumulator_bits,
        "shift": random.randint(0, 12),
        "skip_shift": random.randint(0, 4),
        "mode": Mode.REQUANTIZE,
        "target_planes": random.choice((1, 2, 3, 6, 16)),
        "target_signed": random.randrange(2),
        "skip": random.randrange(2),
        "skip_planes": random.choice((1, 2, 4)),
        "skip_signed": random.randrange(2),
        "weights": 0,
        "parameters": 0,
    } | fixed
    for names, drawn in {
        "kernel_height kernel_width": pair(1, 1, 2, 3),
        "stride_y stride_x": pair(1, 1, 2, 3),
        "padding_y padding_x": pair(0, 0, 1, 2),
        "dilation_y dilation_x": pair(1, 1, 2),
        "pool_height pool_width": pair(1, 1, 1, 2, 3),
        "pool_stride_y pool_stride_x": pair(1, 2, 3),
        "pool_padding_y pool_padding_x": pair(0, 0, 0, 1),
    }.items():
        for name, number in zip(names.split(), drawn, strict=True):
            fields.setdefault(name, number)
    if fields["mode"] == Mode.RAW:
        fields |= {"pool_height": 1, "pool_width": 1, "pool_padding_y": 0, "pool_padding_x": 0}
    if fields["mode"] != Mode.REQUANTIZE:
        fields["skip"] = 0
    for side, axis in (("height", "y"), ("width", "x")):
        span = (fields[f"kernel_{side}"] - 1) * fields[f"dilation_{axis}"] + 1
        size = fields[f"source_{side}"] + 2 * fields[f"padding_{axis}"] - span
        # Windows may also lie outside of the source as a whole.
        rest = random.choice((0, 0, 0, 1))
        fields.setdefault(side, max(1, size // fields[f"stride_{axis}"] + 1 + rest))
    words = max(fields["source_pitch"] // bits, 1)
    fields.setdefault("source_words", random.randint(1, words))
    unread = random.randint(0, words - fields["source_words"])
    for name in ("source", "target", "skip"):
        more = random.choice((0, 0, 1))
        fields.setdefault(f"{name}_slots_log", fields["images_log"] + more)
    for name in ("target", "skip"):
        least = fields["outputs"] + random.choice((0, 0, 1, 3))
        fields.setdefault(
            f"{name}_pitch",
            -(-least // bits) * bits if least >= bits else 1 << (least - 1).bit_length(),
        )
        free = fields[f"{name}_pitch"] - fields["outputs"]
        fields.setdefault(f"{name}_channel", random.randint(0, max(free, 0)))
    layer = Layer(**{"source": 0, "target": 0, "skip_address": 0} | fields)

    # Tensors lie behind each other, with gaps.
    def row(width: int, pitch: int) -> int:
        return -(-width * pitch // bits)

    height, width = layer.pooled
    address = random.randrange(8)
    placed = {"source": address + unread}
    address += (
        layer.source_height * layer.source_planes * row(layer.source_width, layer.source_pitch)
    ) << layer.source_slots_log
    address += random.randrange(4)
    if layer.mode != Mode.RAW:
        placed["target"] = address
        address += (
            height * layer.target_planes * row(width, layer.target_pitch)
        ) << layer.target_slots_log
    placed["skip_address"] = address + random.randrange(4)
    return Layer(**vars(layer) | placed | fixed)
