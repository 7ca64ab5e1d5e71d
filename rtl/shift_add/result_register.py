"""Result register: the sum of a vector, put together from the bits that left its planes."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from adq.rtl.bit_slice import spread
from adq.rtl.parameters import TileParameters
from adq.rtl.plane_tag import PlaneTag, is_one_of

__all__ = ["ResultRegister", "totals_layout"]


PLACES = 4
"""Places that the lowest bit of a plane's total is offered to at a time; a power of two."""


def totals_layout(parameters: TileParameters) -> data.StructLayout:
    """The total of a plane, a signed number a lane, for the widest weights that use the lane."""
    return data.StructLayout(
        {
            str(lane): signed(parameters.total_width(parameters.lane_weight_bits(lane)))
            for lane in range(parameters.lanes)
        }
    )


class ResultRegister(wiring.Component):
    """Keeps the lowest bit of each plane's total, which is final, at the place of the plane, and
    the whole total of a vector's last plane. The sum of the vector is that, as many places up as
    there were planes before it, with their bits below::

        sum = total * 2**index + low bits

    Only what the precision of the job uses is clocked. The bits of the next vector come into the
    same registers, from the cycle on in which the sum has been taken.

    Latency: one cycle. Throughput: a plane a cycle.

    Members
    -------
    advance : In
        Whether the pipeline moves.
    tag : :class:`adq.rtl.plane_tag.PlaneTag`, In
        Of the plane that the totals end with.
    index : In
        Its number in the vector, which is its bit weight.
    totals : :func:`totals_layout`, In
        At planes before the last the lowest bit of each counts alone.
    sums : a signed number of 15 bits more a lane, Out
        Of the vector that ended last.
    """

    def __init__(self, parameters: TileParameters):
        self.parameters = parameters
        totals = totals_layout(parameters)
        super().__init__(
            {
                "advance": In(1),
                "tag": In(PlaneTag),
                "index": In(range(parameters.max_activation_bits)),
                "totals": In(totals),
                "sums": Out(
                    data.StructLayout(
                        {
                            lane: signed(shape.width + parameters.max_activation_bits - 1)
                            for lane, shape in totals.members.items()
                        }
                    )
                ),
            }
        )

    def elaborate(self, platform):
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

        # Lowest bits reach four places at a time, so that the inputs of the others hold still.
        # Lanes of narrow weights alone are clocked apart.
        low = [Signal(p.lanes, name=f"low_{place}", reset_less=True) for place in range(places)]
        lowest = Cat(self.totals[str(lane)][0] for lane in range(p.lanes))
        lanes = {True: [], False: []}
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

    def held(self, m, lane: int, ends, weight_bits):
        """Register of the last total of a lane, and its sign above what its precision uses."""
        p = self.parameters
        total = self.totals[str(lane)]
        register = Signal(total.shape(), name=f"total_{lane}", reset_less=True)
        number = []
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

    def place(self, m, lane: int, number, low_bits, index):
        """A number as many places up as ``index`` says, and bits below it."""
        for level, up in enumerate(index):
            shifted = Signal(signed(len(number) + 2**level), name=f"placed_{lane}_{level}")
            m.d.comb += shifted.eq(Mux(up, number << 2**level, number))
            number = shifted
        return number | low_bits
