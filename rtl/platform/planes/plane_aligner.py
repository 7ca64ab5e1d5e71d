"""Plane aligner: takes a plane out of the words that were fetched."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from adq.rtl.plane_tag import PlaneTag, follow
from adq.rtl.platform.planes.walk_layouts import part_layout
from adq.rtl.port_types import Aggregate, Component

__all__ = ["PlaneAligner"]


class PlaneAligner(Component):
    """Shifts two neighbouring words to where a plane begins, and masks what lies outside of the
    source::

        words -> funnel shifter -> mask -> register -> plane

    Latency: a plane follows two cycles behind its fetch, one of which is the memory's. Throughput:
    one plane per cycle.

    Members
    -------
    part : :func:`adq.rtl.platform.planes.walker.part_layout`, In
        Part of the words that are fetched in this cycle.
    fetched : :class:`adq.rtl.plane_tag.PlaneTag`, In
        Tag of the plane that is fetched in this cycle.
    words : array of two words, In
        Words of the fetch in the cycle before.
    plane : word, Out
    tag : :class:`adq.rtl.plane_tag.PlaneTag`, Out
        Tag of the plane.
    """

    part: Aggregate
    fetched: PlaneTag
    words: Aggregate
    plane: Signal
    tag: PlaneTag

    def __init__(self, word_bits: int):
        self.word_bits = word_bits
        super().__init__(
            {
                "part": In(part_layout(word_bits)),
                "fetched": In(PlaneTag),
                "words": In(data.ArrayLayout(word_bits, 2)),
                "plane": Out(word_bits),
                "tag": Out(PlaneTag),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        moves = Const(1)
        part = Signal.like(self.part, name="registered_part")
        with m.If(self.fetched.valid):
            m.d.sync += part.eq(self.part)
        read = follow(m, self.fetched, moves, name="read_tag")

        aligned = Signal(self.word_bits)
        within = Signal(self.word_bits)
        shifted = Cat(self.words[0], self.words[1]) >> part.offset
        m.d.comb += [
            aligned.eq(shifted),
            within.eq(Cat((part.begin <= bit) & (part.end > bit) for bit in range(self.word_bits))),
        ]
        with m.If(read.valid):
            m.d.sync += self.plane.eq(aligned & within)
        shown = follow(m, read, moves, name="shown_tag")
        m.d.comb += [self.tag.eq(shown), self.tag.zero.eq(~self.plane.any())]
        return m
