"""Plane tile: a tile that takes bit planes and gives the sums of vectors."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from adq.rtl.interface import weight_layout
from adq.rtl.parameters import TileParameters
from adq.rtl.pim_tile.column_counter import ColumnCounter
from adq.rtl.pim_tile.weight_array import WeightArray, require_generable
from adq.rtl.plane_tag import PlaneTag, follow
from adq.rtl.port_types import Aggregate, Component, Stream
from adq.rtl.shift_add.fuser import Fuser
from adq.rtl.shift_add.planes import add_planes
from adq.rtl.shift_add.result_register import ResultRegister, sums_layout

__all__ = ["PlaneTile"]


class PlaneTile(Component):
    """Multiplies bit planes with stored weights::

        plane, tag -> AND -> column counter -> fuser -> accumulators -> result register -> sums
        weights ----> storage (two banks)

    It is :class:`adq.rtl.tile.Tile` without what feeds planes and without partial sums, of the same
    blocks. Planes come from a plane memory, and sums go to an accumulator memory or, in a stack,
    to those of the tiles beside it. The tag says where a plane stands; tiles in lockstep take the
    same.

    Planes of a vector come least significant first. Those of a row block use one bank; the tag
    ``last_vector`` with ``last`` releases it. At least one cycle without a plane must separate
    planes of one weight width from planes of another.

    Latency: ``parameters.latency(weight_bits)`` cycles from a vector's last plane to its sums.
    Throughput: one plane per cycle.

    Members
    -------
    weights : stream of :func:`adq.rtl.interface.weight_layout`, In
        Blocks for alternating banks, beginning with bank 0.
    plane : ``rows`` bits, In
    tag : :class:`adq.rtl.plane_tag.PlaneTag`, In
        Tag of the plane. A plane that is valid needs a full bank.
    advance : In
        The pipeline moves in this cycle; low, everything but the loading of weights stands still.
    full : Out
        One bit per bank: the bank holds a block. It falls a cycle after the last plane that uses
        it is counted.
    sums : :func:`adq.rtl.shift_add.result_register.sums_layout`, Out
        Sums of the vector that ended last; lane ``j * weight_bits / 2`` has output ``j``.
    ended : :class:`adq.rtl.plane_tag.PlaneTag`, Out
        Tag of the last plane of that vector. It is valid in the first cycle of its sums, and as
        long as ``advance`` is low behind it.
    """

    weights: Stream
    plane: Signal
    tag: PlaneTag
    advance: Signal
    full: Signal
    sums: Aggregate
    ended: PlaneTag

    def __init__(self, parameters: TileParameters):
        require_generable(parameters)
        self.parameters = parameters
        super().__init__(
            {
                "weights": In(stream.Signature(weight_layout(parameters))),
                "plane": In(parameters.rows),
                "tag": In(PlaneTag),
                "advance": In(1),
                "full": Out(parameters.banks),
                "sums": Out(sums_layout(parameters)),
                "ended": Out(PlaneTag),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        m.submodules.weight_array = array = WeightArray(p)
        m.submodules.column_counter = counter = ColumnCounter(p)
        m.submodules.fuser = fuser = Fuser(p)
        m.submodules.result_register = register = ResultRegister(p)
        connect(m, flipped(self.weights), array.weights)

        counted = follow(m, self.tag, self.advance, name="counted_tag")
        m.d.comb += [
            array.plane.eq(self.plane),
            array.bank.eq(self.tag.bank),
            array.step.eq(self.advance & self.tag.valid & ~self.tag.zero),
            self.full.eq(array.full),
            counter.products.eq(array.products),
        ]
        with m.If(self.advance & counted.valid & counted.last & counted.last_vector):
            m.d.comb += array.release.eq(1 << counted.bank)

        planes = add_planes(m, p, fuser, counts=counter.counts, tag=counted, advance=self.advance)
        m.d.comb += [
            register.advance.eq(self.advance),
            register.tag.eq(planes.tag),
            register.index.eq(planes.place),
            *(register.totals[str(lane)].eq(total) for lane, total in planes.totals.items()),
            self.sums.eq(register.sums),
        ]
        ends = planes.tag.valid & planes.tag.last
        with m.If(self.advance):
            m.d.sync += self.ended.valid.eq(ends)
            with m.If(ends):
                m.d.sync += self.ended.eq(planes.tag)
        return m
