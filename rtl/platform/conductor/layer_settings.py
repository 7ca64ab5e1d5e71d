"""Settings of a layer, from its descriptor: what is wired, and what products they need."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, ValueLike
from amaranth.utils import exact_log2

from adq.rtl.parameters import TileParameters
from adq.rtl.platform.descriptors import Mode
from adq.rtl.platform.grid.share import schedules, work_layout
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.planes.walk_layouts import BLOCK_BITS, walk_layout
from adq.rtl.platform.planes.windows import WINDOW_BITS
from adq.rtl.platform.results.drain_settings import GROUP_BITS, PLACE_BITS, drain_layout, outputs_of
from adq.rtl.port_types import Aggregate, structure

__all__ = [
    *("COUNT_BITS", "PART", "PRODUCT_STEPS", "WINDOWS"),
    *("LayerSettings", "Product", "scheduled"),
]

COUNT_BITS = 17
"""Bits of the rows or columns that pooling windows slide over, padding included, and of the second
operand of a product."""

PRODUCT_STEPS = 3
"""Steps from a product's operands to its register: those of the operands, of the multiplier, and of
what is made of the product."""

PART = "part"
"""Name of the windows of a part among what products need."""

WINDOWS = "windows"
"""Name of the counts of windows among what products need."""


@dataclass(frozen=True)
class Product:
    """A product that settings need."""

    left: Value
    right: Value
    into: Signal
    """Register that takes the product, or what ``use`` makes of it."""
    use: Callable[[Value], ValueLike]
    needs: Sequence[str]
    """Names of the products that must be there before."""


def scheduled(products: Mapping[str, Product], given: Mapping[str, int]) -> dict[int, Product]:
    """Return the products by the step in which their operands are read, from step 1.

    A product is there ``PRODUCT_STEPS`` behind its operands. ``given`` are the steps from which
    other needs are there.
    """
    there = dict(given)
    found: dict[int, Product] = {}
    left = dict(products)
    step = 1
    while left:
        for name, each in left.items():
            if all(there.get(need, step + 1) <= step for need in each.needs):
                found[step] = each
                there[name] = step + PRODUCT_STEPS
                del left[name]
                break
        step += 1
    return found


def _at_most(most: int) -> Callable[[Value], ValueLike]:
    return lambda product: Mux(product < most, product, most)


def _plus(term: Value) -> Callable[[Value], ValueLike]:
    return lambda product: product + term


class LayerSettings:
    """Registers of what is computed for a layer, and the wiring of all settings.

    Places are taken modulo what their registers hold, as addresses are.

    Parameters
    ----------
    parameters
        Sizes of the platform.
    layer
        Layer, of :func:`adq.rtl.platform.conductor.conductor.layer_layout`.
    windows
        Windows less one along ``y`` and ``x``.

    """

    def __init__(
        self, parameters: PlatformParameters, layer: Aggregate, windows: Mapping[str, Value]
    ):
        self.parameters = p = parameters
        self.log = exact_log2(p.rows)
        self.fields = d = layer.descriptor
        self.image = layer.image
        self.windows = windows
        self.products: dict[str, Product] = {}
        """Products that are computed before the layer starts, by name."""
        address, place = p.address_bits, p.address_bits + self.log
        self.part = Signal(WINDOW_BITS, name="part_windows")
        """Windows of each part that computes different pixels."""
        self.kernel_columns = Signal(COUNT_BITS + 1)
        """Row blocks of a row of the kernel, of pixels that are read as one word each."""
        self.shared = d.source_pitch < p.rows
        """Pixels of the source share words."""

        rows, columns = (Value.cast(windows[axis] + 1)[:COUNT_BITS] for axis in "yx")
        if p.tiles > 1:
            self.spread(rows, columns)

        # The source: words of its rows, and the walker's steps.
        self.plane("plane", d.source_width, d.source_pitch)
        self.append("line", address, self["plane"], d.source_planes, needs=["plane"])
        self.append("image", address, self["line"], d.source_height, needs=["line"])
        for axis in "yx":
            stride, window = d[f"stride_{axis}"], d[f"pool_stride_{axis}"]
            self.append(f"window_{axis}_pixels", 12, stride, window)
            self.append(f"before_{axis}", 11, stride, d[f"pool_padding_{axis}"],
                        use=_plus(d[f"padding_{axis}"]))  # fmt: skip
            unit, needs = (self["line"], ["line"]) if axis == "y" else (d.source_pitch, [])
            bits = address if axis == "y" else place
            self.append(f"pixel_{axis}", bits, unit, stride, needs=needs)
            self.append(f"window_{axis}", bits, self[f"pixel_{axis}"], window,
                        needs=[f"pixel_{axis}"])  # fmt: skip
        self.append("kernel_y", address, self["line"], d.dilation_y, needs=["line"])
        # Where pixels share words, a step along the kernel is a word.
        self.append("kernel_x", place, d.source_pitch, d.dilation_x,
                    use=lambda product: Mux(self.shared, p.rows, product))  # fmt: skip
        self.append("origin_x", place, d.source_pitch, self["before_x"], needs=["before_x"],
                    use=lambda product: -product)  # fmt: skip
        self.append("slot_zero", address, self["line"], self["before_y"],
                    needs=["line", "before_y"], use=lambda product: d.source - product)  # fmt: skip
        self.append("origin_y", address, self["image"], self.slot("source"),
                    needs=["image", "slot_zero"],
                    use=lambda product: self["slot_zero"] + product)  # fmt: skip
        self.append("window", 12, d.pool_height, d.pool_width)
        self.append("span", 18, d.kernel_width - 1, d.dilation_x)

        # The target.
        self.plane("target_plane", d.target_pitch, columns, needs=[WINDOWS])
        self.append("target_row", address, self["target_plane"], d.target_planes,
                    needs=["target_plane"])  # fmt: skip
        self.append("target_image", address, self["target_row"], rows, needs=["target_row"])
        self.append("target_origin", address, self["target_image"], self.slot("target"),
                    needs=["target_image"], use=lambda product: d.target + product)  # fmt: skip
        self.append("raw_rows", PLACE_BITS, self.image, rows, needs=[WINDOWS])
        self.append("raw_pixels", PLACE_BITS, self["raw_rows"], columns, needs=["raw_rows"])
        self.append("raw", PLACE_BITS, self["raw_pixels"], d.target_pitch, needs=["raw_pixels"],
                    use=lambda product: 2 * d.target + product)  # fmt: skip

        # The skip connection, whose first pixel is that of the first pooling window.
        self.plane("skip_plane", d.width, d.skip_pitch)
        self.append("skip_row", address, self["skip_plane"], d.skip_planes, needs=["skip_plane"])
        self.append("skip_image", address, self["skip_row"], d.height, needs=["skip_row"])
        self.append("skip_slot_zero", address, self["skip_row"], d.pool_padding_y,
                    needs=["skip_row"],
                    use=lambda product: d.skip_address - product)  # fmt: skip
        self.append("skip_origin", address, self["skip_image"], self.slot("skip"),
                    needs=["skip_image", "skip_slot_zero"],
                    use=lambda product: self["skip_slot_zero"] + product)  # fmt: skip
        self.append("skip_x", place, d.skip_pitch, d.pool_padding_x,
                    use=lambda product: -product)  # fmt: skip
        self.append("skip_window_y", address, self["skip_row"], d.pool_stride_y,
                    needs=["skip_row"])  # fmt: skip
        self.append("skip_window_x", place, d.skip_pitch, d.pool_stride_x)

    def spread(self, rows: Value, columns: Value) -> None:
        """Append what units need to know of their shares."""
        p, d = self.parameters, self.fields
        self.append("group", GROUP_BITS, outputs_of(p, self.one_hot_width()),
                    (d.split * p.tile_columns)[:COUNT_BITS], use=_at_most(1 << 16))  # fmt: skip
        if p.units > 1:
            self.append("pixels", WINDOW_BITS, rows, columns, needs=[WINDOWS])
            self.append("raw_part", PLACE_BITS, self.part, d.target_pitch, needs=[PART])
        if p.stack > 1:
            self.append("kernel_blocks", BLOCK_BITS, self.kernel_columns, d.kernel_height,
                        needs=["span"])  # fmt: skip
            self.append("blocks", BLOCK_BITS, self["kernel_blocks"], d.source_words,
                        needs=["kernel_blocks"])  # fmt: skip

    def __getitem__(self, name: str) -> Signal:
        """Return the register of a product."""
        return self.products[name].into

    def append(
        self,
        name: str,
        bits: int,
        left: Value,
        right: Value,
        *,
        needs: Sequence[str] = (),
        use: Callable[[Value], ValueLike] = lambda product: product,
    ) -> None:
        """Append a product, with a register of its own."""
        register = Signal(bits, name=f"{name}_product", reset_less=True)
        self.products[name] = Product(left, right, register, use, needs)

    def plane(self, name: str, left: Value, right: Value, needs: Sequence[str] = ()) -> None:
        """Append the words of a plane of a row, from its pixels and their bits."""
        bits = self.parameters.rows
        self.append(name, self.parameters.address_bits, left, right, needs=needs,
                    use=lambda product: (product + bits - 1) >> self.log)  # fmt: skip

    def slots(self, name: str) -> Value:
        """Return the slots of a tensor, less one."""
        slots_log = self.fields[f"{name}_slots_log"]
        return Cat(slots_log > bit for bit in range(15))

    def slot(self, name: str) -> Value:
        """Return the slot of the first image."""
        return cast(Value, self.image[:15] & self.slots(name))

    def one_hot_width(self) -> Value:
        """Return the weight width as one bit of several."""
        return Cat(self.fields.weight_bits == width for width in TileParameters.weight_widths)

    def walk(self, m: Module) -> Aggregate:
        """Return the walker's settings."""
        p, d = self.parameters, self.fields
        walk = cast(Aggregate, Signal(walk_layout(p), name="walk_settings"))
        # Bits of a pixel in a word, and pixels of a word, as powers of two.
        pitch_log = Signal(range(self.log + 1))
        pixels_log = Signal(range(self.log + 1))
        # These are registered, since the walker's longest paths begin with them.
        last_plane = Signal(4)
        m.d.sync += last_plane.eq(d.source_planes - 1)
        with m.Switch(d.source_pitch):
            for log in range(self.log):
                with m.Case(1 << log):
                    m.d.sync += [pitch_log.eq(log), pixels_log.eq(self.log - log)]
            with m.Default():
                m.d.sync += [pitch_log.eq(self.log), pixels_log.eq(0)]
        m.d.comb += [
            self.kernel_columns.eq(walk.kernel_x + 1),
            walk.group.eq(self.group),
            walk.weight_bits.eq(self.one_hot_width()),
            walk.outputs.eq(d.outputs),
            walk.planes.eq(last_plane),
            walk.signed.eq(d.source_signed),
            walk.plane_step.eq(self["plane"]),
            walk.slot.eq(self.slot("source")),
            walk.slots.eq(self.slots("source")),
            walk.slot_zero.eq(self["slot_zero"]),
            walk.image_step.eq(self["image"]),
            walk.images.eq(self.images),
            walk.height.eq(d.source_height),
            walk.width.eq(d.source_width),
            walk.pitch_log.eq(pitch_log),
            walk.y.origin.pixel.eq(-self["before_y"]),
            walk.x.origin.pixel.eq(-self["before_x"]),
            walk.kernel_y.eq(d.kernel_height - 1),
            walk.kernel_x.eq(Mux(self.shared, self["span"] >> pixels_log, d.kernel_width - 1)),
            walk.kernel_words.eq(d.source_words - 1),
            walk.y.kernel.pixel.eq(d.dilation_y),
            walk.x.kernel.pixel.eq(Mux(self.shared, Const(1) << pixels_log, d.dilation_x)),
        ]
        for axis in "yx":
            m.d.comb += [
                walk[axis].origin.place.eq(self[f"origin_{axis}"]),
                walk[axis].pixel.pixel.eq(d[f"stride_{axis}"]),
                walk[axis].pixel.place.eq(self[f"pixel_{axis}"]),
                walk[axis].window.pixel.eq(self[f"window_{axis}_pixels"]),
                walk[axis].window.place.eq(self[f"window_{axis}"]),
                walk[axis].kernel.place.eq(self[f"kernel_{axis}"]),
            ]
        if p.stack > 1:
            m.d.comb += [walk.stacked.eq(d.stacked), walk.blocks.eq(self["blocks"])]
        self.pooling(m, walk)
        return walk

    def work(self, m: Module) -> Aggregate:
        """Return how the layer is spread over units."""
        p, d = self.parameters, self.fields
        work = structure(work_layout(), name="work")
        m.d.comb += work.split.eq(d.split)
        if p.stack > 1:
            m.d.comb += work.stacked.eq(d.stacked)
        if p.units > 1:
            m.d.comb += [
                work.windows.eq(self.all_windows),
                work.pixels.eq(self["pixels"]),
                work.part.eq(self.part),
                work.raw.eq(self["raw_part"]),
            ]
        else:
            m.d.comb += [work.windows.eq(1), work.part.eq(1)]
        return work

    @property
    def group(self) -> Value:
        """Outputs from a group of a tile's to its next one."""
        p = self.parameters
        return outputs_of(p, self.one_hot_width()) if p.tiles == 1 else self["group"]

    @property
    def all_windows(self) -> Value:
        """Pooling windows of all images."""
        return cast(Value, (self["pixels"] << self.fields.images_log)[:WINDOW_BITS])

    def windows_and_parts(self, m: Module) -> tuple[Value, Value]:
        """Return a dividend and a divisor, whose quotient is the windows of a part."""
        p, d = self.parameters, self.fields
        parts = Signal(range(p.units + 1))
        windows = Signal(WINDOW_BITS + 1)
        stacked = d.stacked if p.stack > 1 else Const(0, 1)
        with m.Switch(Cat(stacked, d.split)):
            for of_stack, split, count in schedules(p):
                with m.Case(of_stack | split << 1):
                    m.d.comb += parts.eq(count)
            with m.Default():
                m.d.comb += parts.eq(1)
        m.d.comb += windows.eq(self.all_windows + parts - 1)
        return windows, parts

    @property
    def images(self) -> Value:
        """Images of a pass, less one."""
        return Cat(self.fields.images_log > bit for bit in range(15))

    def pooling(self, m: Module, settings: Aggregate) -> None:
        """Set the counts of windows and of their pixels."""
        d = self.fields
        m.d.comb += [
            settings.windows_y.eq(self.windows["y"]),
            settings.windows_x.eq(self.windows["x"]),
            settings.pool_y.eq(d.pool_height - 1),
            settings.pool_x.eq(d.pool_width - 1),
            settings.window.eq(self["window"]),
        ]

    def drain(self, m: Module) -> Aggregate:
        """Return the drain's settings."""
        d = self.fields
        drain = cast(Aggregate, Signal(drain_layout(self.parameters), name="drain_settings"))
        raw = d.mode == Mode.RAW
        m.d.comb += [
            drain.weight_bits.eq(self.one_hot_width()),
            drain.accumulator_bits.eq(d.accumulator_bits),
            drain.outputs.eq(d.outputs),
            drain.group.eq(self.group),
            drain.raw.eq(raw),
            drain.table.eq(d.mode == Mode.TABLE),
            drain.thresholds.eq(d.mode == Mode.THRESHOLDS),
            drain.shift.eq(d.shift),
            drain.skip_shift.eq(d.skip_shift),
            drain.planes.eq(d.target_planes),
            drain.signed.eq(d.target_signed),
            drain.table_planes.eq(d.source_planes),
            drain.table_signed.eq(d.source_signed),
            drain.images.eq(self.images),
            drain.pool_stride_y.eq(d.pool_stride_y),
            drain.pool_stride_x.eq(d.pool_stride_x),
            drain.first_row.eq(-d.pool_padding_y),
            drain.first_column.eq(-d.pool_padding_x),
            drain.height.eq(d.height),
            drain.width.eq(d.width),
            drain.target.x.eq(Mux(raw, self["raw"], 0)),
            drain.target.origin.eq(self["target_origin"]),
            drain.target.slot_zero.eq(d.target),
            drain.target.row.eq(self["target_row"]),
            drain.skips.eq(d.skip),
            drain.skip.x.eq(self["skip_x"]),
            drain.skip.origin.eq(self["skip_origin"]),
            drain.skip.slot_zero.eq(self["skip_slot_zero"]),
            drain.skip.row.eq(self["skip_row"]),
            drain.skip.window_y.eq(self["skip_window_y"]),
            drain.skip.window_x.eq(self["skip_window_x"]),
            drain.skip.planes.eq(d.skip_planes),
            drain.skip.signed.eq(d.skip_signed),
        ]
        for name in ("target", "skip"):
            m.d.comb += [
                drain[name].slot.eq(self.slot(name)),
                drain[name].slots.eq(self.slots(name)),
                drain[name].image.eq(self[f"{name}_image"]),
                drain[name].plane.eq(self[f"{name}_plane"]),
                drain[name].pitch.eq(d[f"{name}_pitch"]),
                drain[name].channel.eq(d[f"{name}_channel"]),
            ]
        self.pooling(m, drain)
        return drain
