"""Weight loader: asks for the weight blocks of layers, ahead of what computes."""

from amaranth.hdl import Const, Module, Mux, Signal, Value, ValueLike
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from adq.rtl.divider import Divider
from adq.rtl.platform.bus.read_channel import INDEX_BITS, request_layout
from adq.rtl.platform.conductor.descriptor_layout import descriptor_layout
from adq.rtl.platform.descriptors import Layer
from adq.rtl.platform.grid.share import schedules
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.planes.windows import WINDOW_BITS
from adq.rtl.port_types import Aggregate, Component, Stream, structure

__all__ = ["OUTPUT_BITS", "WeightLoader", "chunks_layout", "order_layout", "task_layout"]

OUTPUT_BITS = 17
"""Bits of a count of outputs: of a layer, or of more than any has."""

_BLOCK_BITS = 34
"""Bits of a count of weight blocks: more than any memory has."""

_ROW_BLOCK_BITS = 36
"""Bits of the row blocks of a layer."""

_SIDE_BITS = 17
"""Bits of the rows or columns that pooling windows slide over, padding included."""

_FACTOR_BITS = 32


def task_layout() -> data.StructLayout:
    """Return the layout of a layer whose weights are wanted."""
    return data.StructLayout({"layer": descriptor_layout(Layer), "index": INDEX_BITS})


def order_layout() -> data.StructLayout:
    """Return the layout of what a weight buffer does for a layer."""
    return data.StructLayout(
        {
            "weight_bits": 5,
            "stacked": 1,
            "split": 8,
            "outputs": OUTPUT_BITS,  # of the layer
            "group": OUTPUT_BITS,  # outputs of a group, or more than the layer has
            "beats": _BLOCK_BITS + 5,  # of a group, in a column
            "kept": 1,  # they fit into half of a column's buffer, and are replayed
        }
    )


def chunks_layout(parameters: PlatformParameters) -> data.StructLayout:
    """Return the layout of how the pooling windows of a layer are taken.

    Windows go to parts of the platform one after another: to each of ``full`` parts as many, to
    the one behind these the rest, to others none.
    """
    return data.StructLayout(
        {
            "chunk": range(parameters.accumulator_vectors + 1),  # windows at a time
            "windows": WINDOW_BITS,  # of a full part
            "rest": WINDOW_BITS,
            "full": range(parameters.units + 1),
        }
    )


class WeightLoader(Component):
    """Computes how many weight blocks a layer has, and asks for them, group by group of outputs:
    once if a group fits into half of a column's weight buffer, else once for each chunk of pooling
    windows. While the first group comes, it computes how many windows there are.

    Latency: 6 cycles from a task to its first request; where the layer is stacked, 37 more.

    Members
    -------
    tasks : stream of :func:`task_layout`, In
    requests : stream of :func:`adq.rtl.platform.bus.read_channel.request_layout`, Out
    orders : stream of :func:`order_layout`, Out
        An order for each task.
    chunks : stream of :func:`chunks_layout`, Out
        Windows of the layer, behind its order.
    """

    tasks: Stream
    requests: Stream
    orders: Stream
    chunks: Stream

    def __init__(self, parameters: PlatformParameters):
        self.parameters = parameters
        super().__init__(
            {
                "tasks": In(stream.Signature(task_layout())),
                "requests": Out(stream.Signature(request_layout())),
                "orders": Out(stream.Signature(order_layout())),
                "chunks": Out(stream.Signature(chunks_layout(parameters))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        m.submodules.divider = divider = Divider(_ROW_BLOCK_BITS, WINDOW_BITS)
        task = structure(task_layout(), name="task")
        d: Aggregate = task.layer
        left = Signal(_FACTOR_BITS)
        right = Signal(_SIDE_BITS)
        product = Signal(_FACTOR_BITS + _SIDE_BITS)
        m.d.comb += product.eq(left * right)
        several = p.units > 1

        # Parts of different pixels, and copies of a group's blocks in a column.
        parts = Signal(range(p.units + 1), init=1)
        copies = d.split * Mux(d.stacked, p.stack, 1) if several else Const(1)
        with m.Switch(Value.cast(d.stacked | d.split << 1)):
            for stacked, split, count in schedules(p):
                with m.Case(stacked | split << 1):
                    m.d.comb += parts.eq(count)

        # Blocks of a kernel row whose pixels share words: the words that it spans.
        log = exact_log2(p.rows)
        shared = d.source_pitch < p.rows
        words = Signal(26)
        span = Signal.like(product)
        pitch_log = Signal(range(log + 1))
        for bit in range(log):
            with m.If(d.source_pitch[bit]):
                m.d.comb += pitch_log.eq(bit)
        m.d.comb += words.eq((span + (p.rows >> pitch_log)) >> (log - pitch_log)[: len(pitch_log)])
        lanes = Signal(range(p.columns + 1))
        with m.Switch(d.weight_bits):
            for bits in p.tile.weight_widths:
                with m.Case(bits):
                    m.d.comb += lanes.eq(p.tile.outputs(bits))

        window = Signal(12)
        rounds = Signal(_ROW_BLOCK_BITS)
        blocks = Signal(_BLOCK_BITS)  # of a group, in a column
        group = Signal(OUTPUT_BITS)
        rows = Signal(_SIDE_BITS)
        windows = Signal(WINDOW_BITS)
        counts = structure(chunks_layout(p), name="counts")
        offset = Signal(56)
        outputs = Signal(OUTPUT_BITS)
        remaining = Signal(WINDOW_BITS)  # windows of a full part, behind the chunks so far
        offered = Signal()

        request: Aggregate = self.requests.payload
        order: Aggregate = self.orders.payload
        kept = blocks <= (1024 * p.weight_buffer_kib) // p.block_bytes
        size = Value.cast(blocks * (p.block_bytes * p.tile_columns))
        m.d.comb += [
            request.offset.eq(offset),
            request.bytes.eq(size),
            request.index.eq(task.index),
            order.weight_bits.eq(d.weight_bits),
            order.stacked.eq(d.stacked),
            order.split.eq(d.split),
            order.outputs.eq(d.outputs),
            order.group.eq(group),
            order.beats.eq(blocks * p.tile.weight_beats),
            order.kept.eq(kept),
            self.orders.valid.eq(offered),
            self.chunks.payload.eq(counts),
        ]
        with m.If(self.orders.valid & self.orders.ready):
            m.d.sync += offered.eq(0)

        def set_operands(one: ValueLike, other: ValueLike) -> None:
            m.d.sync += [left.eq(one), right.eq(other)]

        def division(
            state: str, dividend: ValueLike, bits: int, divisor: ValueLike, then: str
        ) -> None:
            """Add states that divide: ``state``, and one that waits."""
            waits = f"{state} DIVIDES"
            with m.State(state):
                m.d.comb += [
                    divider.start.eq(1),
                    divider.bits.eq(bits),
                    divider.dividend.eq(Value.cast(dividend) << _ROW_BLOCK_BITS - bits),
                    divider.divisor.eq(divisor),
                ]
                m.next = waits
            with m.State(waits):
                m.d.comb += divider.divisor.eq(divisor)
                with m.If(divider.done):
                    m.next = then

        def side(name: str, axis: str) -> Value:
            """Return how far pooling windows can slide along an axis."""
            most: Value = d[name] + 2 * d[f"pool_padding_{axis}"] - d[f"pool_{name}"]
            return most[:_SIDE_BITS]

        last_chunk = remaining <= counts.chunk
        last_group = outputs <= group
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.tasks.ready.eq(1)
                with m.If(self.tasks.valid):
                    m.d.sync += task.eq(self.tasks.payload)
                    m.next = "WINDOW"

            # ---- Weight blocks.
            with m.State("WINDOW"):
                set_operands(d.pool_height, d.pool_width)
                m.d.sync += [offset.eq(d.weights << 4), outputs.eq(d.outputs)]
                m.next = "COLUMNS"
            with m.State("COLUMNS"):
                m.d.sync += window.eq(product)
                set_operands(
                    Mux(shared, d.kernel_width - 1, d.kernel_width),
                    Mux(shared, d.dilation_x, d.source_words),
                )
                m.next = "ROWS"
            with m.State("ROWS"):
                m.d.sync += span.eq(product)
                m.next = "SPAN"
            with m.State("SPAN"):
                set_operands(Mux(shared, words, span), d.kernel_height)
                m.next = "ROW BLOCKS"
            with m.State("ROW BLOCKS"):
                m.d.sync += rounds.eq(product)
                set_operands(lanes, d.split * p.tile_columns)
                if several:
                    m.next = "GROUP"
                else:
                    m.next = "BLOCKS"
            if several:
                with m.State("GROUP"):
                    m.d.sync += group.eq(Mux(product < 1 << 16, product, 1 << 16))
                    set_operands(rounds, copies)
                    m.next = "COPIES"
                    if p.stack > 1:
                        with m.If(d.stacked):
                            m.next = "STACK"
                if p.stack > 1:  # row blocks are spread over it
                    division("STACK", rounds + p.stack - 1, _ROW_BLOCK_BITS, p.stack, "STACKED")
                    with m.State("STACKED"):
                        m.d.sync += rounds.eq(divider.quotient)
                        set_operands(divider.quotient, copies)
                        m.next = "COPIES"
                with m.State("COPIES"):
                    # More than any memory holds is refused where it is asked for.
                    many = rounds[_FACTOR_BITS:].any() | product[_BLOCK_BITS:].any()
                    m.d.sync += blocks.eq(Mux(many, (1 << _BLOCK_BITS) - 1, product))
                    m.next = "REQUEST"
            else:
                with m.State("BLOCKS"):
                    many = rounds[_BLOCK_BITS:].any()
                    m.d.sync += [
                        group.eq(product),
                        blocks.eq(Mux(many, (1 << _BLOCK_BITS) - 1, rounds)),
                    ]
                    m.next = "REQUEST"

            # ---- The first group, and the order; meanwhile the windows are counted.
            with m.State("REQUEST"):
                m.d.comb += self.requests.valid.eq(1)
                with m.If(self.requests.ready):
                    m.d.sync += offered.eq(1)
                    m.next = "HEIGHT"
            division("HEIGHT", side("height", "y"), _SIDE_BITS, d.pool_stride_y, "ROWS COUNTED")
            with m.State("ROWS COUNTED"):
                m.d.sync += rows.eq(divider.quotient + 1)
                m.next = "WIDTH"
            division("WIDTH", side("width", "x"), _SIDE_BITS, d.pool_stride_x, "COLUMNS COUNTED")
            with m.State("COLUMNS COUNTED"):
                set_operands(rows, (divider.quotient + 1)[:_SIDE_BITS])
                m.next = "CHUNK"
            division("CHUNK", p.accumulator_vectors, len(counts.chunk), window, "CHUNK COUNTED")
            with m.State("CHUNK COUNTED"):
                m.d.sync += [
                    counts.chunk.eq(divider.quotient),
                    counts.windows.eq(product << d.images_log),
                    windows.eq(product << d.images_log),
                ]
                m.next = "PARTS" if several else "COUNTS"
            if several:
                division("PARTS", windows + parts - 1, WINDOW_BITS + 1, parts, "PARTS COUNTED")
                with m.State("PARTS COUNTED"):
                    m.d.sync += counts.windows.eq(divider.quotient)
                    m.next = "FULL"
                division("FULL", windows, WINDOW_BITS, counts.windows, "FULL COUNTED")
                with m.State("FULL COUNTED"):
                    m.d.sync += [counts.full.eq(divider.quotient), counts.rest.eq(divider.rest)]
                    m.next = "COUNTS"
            with m.State("COUNTS"):
                m.d.comb += self.chunks.valid.eq(~offered)
                m.d.sync += remaining.eq(counts.windows)
                with m.If(self.chunks.valid & self.chunks.ready):
                    m.next = "FOLLOW"

            # ---- Other groups and chunks.
            with m.State("FOLLOW"):
                m.next = "AGAIN"
                with m.If(kept | last_chunk):
                    m.d.sync += [
                        offset.eq(offset + size),
                        outputs.eq(outputs - group),
                        remaining.eq(counts.windows),
                    ]
                    with m.If(last_group):
                        m.next = "IDLE"
                with m.Else():
                    m.d.sync += remaining.eq(remaining - counts.chunk)
            with m.State("AGAIN"):
                m.d.comb += self.requests.valid.eq(1)
                with m.If(self.requests.ready):
                    m.next = "FOLLOW"
        return m
