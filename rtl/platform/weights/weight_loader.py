"""Weight loader: asks for the weight blocks of layers, ahead of what computes."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from adq.rtl.platform.bus.read_channel import INDEX_BITS, request_layout
from adq.rtl.platform.conductor.descriptor_layout import descriptor_layout
from adq.rtl.platform.descriptors import Layer
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.weights.chunk_counter import ChunkCounter
from adq.rtl.port_types import Aggregate, Component, Stream, structure

__all__ = ["WeightLoader", "order_layout", "task_layout"]

_ROUND_BITS = 36
"""Bits of the row blocks of a layer."""


def task_layout() -> data.StructLayout:
    """Return the layout of a layer whose weights are wanted."""
    return data.StructLayout({"layer": descriptor_layout(Layer), "index": INDEX_BITS})


def order_layout() -> data.StructLayout:
    """Return the layout of what the weight buffer does for a layer."""
    return data.StructLayout(
        {
            "layer": descriptor_layout(Layer),
            "window": 12,  # pixels of a pooling window
            "beats": _ROUND_BITS + 5,  # of a group of outputs
            "kept": 1,  # they fit into half of the buffer, and are replayed
        }
    )


class WeightLoader(Component):
    """Computes how many weight blocks a layer has, and asks for them, group by group of outputs:
    once if a group fits into half of the weight buffer, else once for each chunk of pooling
    windows.

    Latency: 5 cycles from a task to its first request.

    Members
    -------
    tasks : stream of :func:`task_layout`, In
    requests : stream of :func:`adq.rtl.platform.bus.read_channel.request_layout`, Out
    orders : stream of :func:`order_layout`, Out
        An order for each task, before its first request.
    """

    tasks: Stream
    requests: Stream
    orders: Stream

    def __init__(self, parameters: PlatformParameters):
        self.parameters = parameters
        super().__init__(
            {
                "tasks": In(stream.Signature(task_layout())),
                "requests": Out(stream.Signature(request_layout())),
                "orders": Out(stream.Signature(order_layout())),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        m.submodules.chunks = chunks = ChunkCounter(p)
        task = structure(task_layout(), name="task")
        d: Aggregate = task.layer
        left, right = Signal(26), Signal(16)
        product = Signal(42)
        m.d.comb += product.eq(left * right)
        window = Signal(12)
        rounds = Signal(_ROUND_BITS)
        size = Signal(56)
        log = exact_log2(p.rows)
        shared = d.source_pitch < p.rows
        # Blocks of a kernel row whose pixels share words: the words that it spans.
        words = Signal(26)
        pitch_log = Signal(range(log + 1))
        for bit in range(log):
            with m.If(d.source_pitch[bit]):
                m.d.comb += pitch_log.eq(bit)
        m.d.comb += words.eq(
            (product + (p.rows >> pitch_log)) >> (log - pitch_log)[: len(pitch_log)]
        )

        request: Aggregate = self.requests.payload
        order: Aggregate = self.orders.payload
        offset = Signal(56)
        outputs = Signal(17)
        lanes = Signal(range(p.columns + 1))
        last_group = outputs <= lanes
        with m.Switch(d.weight_bits):
            for bits in p.tile.weight_widths:
                with m.Case(bits):
                    m.d.comb += lanes.eq(p.tile.outputs(bits))
        kept = size <= 1024 * p.weight_buffer_kib
        m.d.comb += [
            chunks.layer.eq(d.as_value()),
            chunks.window.eq(window),
            request.offset.eq(offset),
            request.bytes.eq(size),
            request.index.eq(task.index),
            order.layer.eq(d.as_value()),
            order.window.eq(window),
            order.beats.eq(rounds * p.tile.weight_beats),
            order.kept.eq(kept),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.tasks.ready.eq(1)
                with m.If(self.tasks.valid):
                    m.d.sync += task.eq(self.tasks.payload)
                    m.next = "WINDOW"
            with m.State("WINDOW"):
                m.d.sync += [
                    left.eq(d.pool_height),
                    right.eq(d.pool_width),
                    offset.eq(d.weights << 4),
                    outputs.eq(d.outputs),
                ]
                m.next = "COLUMNS"
            with m.State("COLUMNS"):
                m.d.sync += [
                    window.eq(product),
                    left.eq(Mux(shared, d.kernel_width - 1, d.kernel_width)),
                    right.eq(Mux(shared, d.dilation_x, d.source_words)),
                ]
                m.next = "ROWS"
            with m.State("ROWS"):
                m.d.sync += [left.eq(Mux(shared, words, product)), right.eq(d.kernel_height)]
                m.next = "BLOCKS"
            with m.State("BLOCKS"):
                m.d.sync += [rounds.eq(product), size.eq(product * p.block_bytes)]
                m.next = "ORDER"
            with m.State("ORDER"):
                m.d.comb += [self.orders.valid.eq(1), chunks.begin.eq(self.orders.ready)]
                with m.If(self.orders.ready):
                    m.next = "REQUEST"
            with m.State("REQUEST"):
                m.d.comb += self.requests.valid.eq(1)
                with m.If(self.requests.ready):
                    m.next = "FOLLOW"
            with m.State("FOLLOW"):
                ends = kept | (chunks.valid & chunks.last)
                with m.If(ends & last_group):
                    m.next = "IDLE"
                with m.Elif(ends):
                    m.d.comb += chunks.begin.eq(1)
                    m.d.sync += [offset.eq(offset + size), outputs.eq(outputs - lanes)]
                    m.next = "REQUEST"
                with m.Elif(chunks.valid):
                    m.d.comb += chunks.take.eq(1)
                    m.next = "REQUEST"
        return m
