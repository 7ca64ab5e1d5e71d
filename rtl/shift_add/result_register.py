"""Result register: assembles the sum of a vector from its last total and the shifted-out bits."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from adq.rtl.bit_slice import spread
from adq.rtl.parameters import TileParameters
from adq.rtl.plane_tag import PlaneTag, is_one_of
from adq.rtl.port_types import Aggregate, Component

__all__ = ["ResultRegister", "sums_layout", "totals_layout"]


PLACES = 4
"""Number of bit positions that receive the lowest bits of the totals at a time; a power of two."""


def totals_layout(parameters: TileParameters) -> data.StructLayout:
    """Return the layout of the totals of a plane: one signed number per lane.

    Each number has the width of the widest weights that use its lane.
    """
    return data.StructLayout(
        {
            str(lane): signed(parameters.total_width(parameters.lane_weight_bits(lane)))
            for lane in range(parameters.lanes)
        }
    )


def sums_layout(parameters: TileParameters) -> data.StructLayout:
    """Return the layout of the sums of a vector: each is 15 bits wider than its total."""
    return data.StructLayout(
        {
            lane: signed(shape.width + parameters.max_activation_bits - 1)
            for lane, shape in totals_layout(parameters).members.items()
        }
    )


class ResultRegister(Component):
    """Assembles the sums of a vector from the totals of its planes.

    The lowest bit of each plane's total is final and is stored at the bit position of the plane.
    The total of the last plane is stored whole. The sum of the vector is ::

        sum = total * 2**index + low bits

    Only the bits that the weight width of the job uses are clocked. The bits of the next vector
    overwrite the registers as soon as the sum has been taken.

    Latency: one cycle from the last plane to the sums. Throughput: one plane per cycle.

    Members
    -------
    advance : In
        The pipeline moves in this cycle.
    tag : :class:`adq.rtl.plane_tag.PlaneTag`, In
        Tag of the plane whose sum the totals include.
    index : In
        Bit position of that plane.
    totals : :func:`totals_layout`, In
        Totals of the accumulators. Before the last plane, only the lowest bit of each is used.
    sums : :func:`sums_layout`, Out
        Sums of the vector that ended last.
    """

    advance: Signal
    tag: PlaneTag
    index: Signal
    totals: Aggregate
    sums: Aggregate

    def __init__(self, parameters: TileParameters):
        self.parameters = parameters
        super().__init__(
            {
                "advance": In(1),
                "tag": In(PlaneTag),
                "index": In(range(parameters.max_activation_bits)),
                "totals": In(totals_layout(parameters)),
                "sums": Out(sums_layout(parameters)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        places = p.max_activation_bits - 1

        keep_low = Signal(places)
        ends = Signal()
        moves = self.advance & self.tag.valid
        m.d.comb += ends.eq(moves & self.tag.last)
        with m.If(moves & ~self.tag.last):
            m.d.comb += keep_low.eq(1 << self.index)

        last_index = Signal.like(self.index)
        weight_bits = Signal(len(p.weight_widths))
        with m.If(ends):
            m.d.sync += [last_index.eq(self.index), weight_bits.eq(self.tag.weight_bits)]
        below = Signal(places)
        m.d.comb += below.eq(Cat(last_index > place for place in range(places)))

        # The lowest bits are driven to four bit positions at a time, so that the inputs of the
        # other positions do not toggle. Lanes that only narrow weights use have their own enable.
        low = [Signal(p.lanes, name=f"low_{place}", reset_less=True) for place in range(places)]
        lowest = Cat(self.totals[str(lane)][0] for lane in range(p.lanes))
        lanes: dict[bool, list[int]] = {True: [], False: []}
        for lane in range(p.lanes):
            lanes[p.lane_weight_bits(lane) in p.direct_widths].append(lane)
        narrow = is_one_of(self.tag.weight_bits, p.direct_widths)
        for first in range(0, places, PLACES):
            near = Signal(p.lanes, name=f"lowest_{first}")
            m.d.comb += near.eq(
                lowest & spread(self.index[exact_log2(PLACES) :] == first // PLACES, p.lanes)
            )
            for place in range(first, min(first + PLACES, places)):
                for apart, members in lanes.items():
                    with m.If(keep_low[place] & (narrow if apart else 1)):
                        m.d.sync += Cat(low[place][lane] for lane in members).eq(
                            Cat(near[lane] for lane in members)
                        )
        for lane in range(p.lanes):
            high = self.held(m, lane, ends, weight_bits)
            low_bits = Cat(word[lane] for word in low) & below
            m.d.comb += self.sums[str(lane)].eq(self.place(m, lane, high, low_bits, last_index))
        return m

    def held(self, m: Module, lane: int, ends: Value, weight_bits: Value) -> Value:
        """Return the registered last total of a lane, sign-extended from the width in use."""
        p = self.parameters
        total = self.totals[str(lane)]
        register = Signal(total.shape(), name=f"total_{lane}", reset_less=True)
        number: list[Value] = []
        widths = [n for n in p.weight_widths if n <= p.lane_weight_bits(lane)]
        for n in widths:
            part = slice(len(number), p.total_width(n))
            using = [other for other in widths if other >= n]
            with m.If(ends & is_one_of(self.tag.weight_bits, using)):
                m.d.sync += register[part].eq(total[part])
            bits = register[part]
            if number:
                bits = Signal(len(bits), name=f"extended_{lane}_{n}")
                m.d.comb += bits.eq(
                    Mux(
                        is_one_of(weight_bits, using),
                        register[part],
                        number[-1].replicate(len(bits)),
                    )
                )
            number += list(bits)
        return Cat(number).as_signed()

    def place(self, m: Module, lane: int, number: Value, low_bits: Value, index: Value) -> Value:
        """Return ``number << index | low_bits``, by a barrel shifter."""
        for level, up in enumerate(index):
            shifted = Signal(signed(len(number) + 2**level), name=f"placed_{lane}_{level}")
            m.d.comb += shifted.eq(Mux(up, number << 2**level, number))
            number = shifted
        return number | low_bits
