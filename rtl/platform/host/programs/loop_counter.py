"""Loop counter: passes of a program's loops, and the images that they have come to."""

from amaranth.hdl import Array, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from adq.rtl.platform.conductor.descriptor_layout import descriptor_layout
from adq.rtl.platform.descriptors import Loop
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.port_types import Aggregate, Component

__all__ = ["LoopCounter"]

_LEVELS = PlatformParameters.loop_levels


class LoopCounter(Component):
    """Counts passes of loops one inside of the other, the innermost first.

    Members
    -------
    loop : descriptor, In
    append : In
        The program has this loop, behind those before. Not if ``full``.
    full : Out
        No more loops can be counted.
    rewind : In
        All loops are there: begin with the innermost.
    turn : In
        A pass of the next loop has ended.
    again : Out
        Another pass of it follows.
    image : Out
        First image of the pass, counted from the first of the run, modulo 2^32.
    last : Out
        The last pass of all loops.
    """

    loop: Aggregate
    append: Signal
    full: Signal
    rewind: Signal
    turn: Signal
    again: Signal
    image: Signal
    last: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "loop": In(descriptor_layout(Loop)),
                "append": In(1),
                "full": Out(1),
                "rewind": In(1),
                "turn": In(1),
                "again": Out(1),
                "image": Out(32),
                "last": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        level = Signal(range(_LEVELS + 1))
        left = [Signal(16, name=f"left_{each}") for each in range(_LEVELS)]  # passes, less one
        counts = [Signal(16, name=f"count_{each}") for each in range(_LEVELS)]  # likewise
        images = [Signal(32, name=f"images_{each}") for each in range(_LEVELS)]
        sizes = [Signal(32, name=f"size_{each}") for each in range(_LEVELS)]
        m.d.comb += [
            self.full.eq(level == _LEVELS),
            self.again.eq(Array(left)[level] != 0),
        ]
        last: Value = Mux(left[0] == 0, 1, 0)
        for each in left[1:]:
            last = last & (each == 0)
        m.d.comb += self.last.eq(last)
        m.d.sync += self.image.eq((images[0] + images[1]) + (images[2] + images[3]))
        with m.If(self.append | self.turn):
            m.d.sync += level.eq(level + 1)
        for place in range(_LEVELS):
            with m.If(level == place):
                with m.If(self.append):
                    m.d.sync += [
                        counts[place].eq(self.loop.count - 1),
                        left[place].eq(self.loop.count - 1),
                        sizes[place].eq(1 << self.loop.images_log),
                    ]
                with m.If(self.turn & (left[place] != 0)):
                    m.d.sync += [
                        left[place].eq(left[place] - 1),
                        images[place].eq(images[place] + sizes[place]),
                        level.eq(0),
                    ]
                with m.Elif(self.turn):
                    m.d.sync += [left[place].eq(counts[place]), images[place].eq(0)]
        with m.If(self.rewind):
            m.d.sync += level.eq(0)
        return m
