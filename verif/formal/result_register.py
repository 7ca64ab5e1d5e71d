"""Properties of the result register."""

from amaranth.hdl import (
    Assert,
    Assume,
    Cat,
    Cover,
    Elaboratable,
    Module,
    Mux,
    Signal,
    Value,
    signed,
)

from rtl.shift_add.result_register import ResultRegister
from verif.formal.environment import drive_inputs, previous
from verif.formal.inside import Inside

__all__ = ["PutsSumsTogether", "number_of_planes"]


def number_of_planes(m, check, *, tag, index, moves, name: str) -> Signal:
    """How the shift-add numbers planes: from 0 in each vector, one by one.

    Parameters
    ----------
    check
        ``Assume`` where the result register is proved, ``Assert`` where the shift-add is.
    moves
        Whether the plane of the tag, which is valid, goes on.

    Returns
    -------
    next_index : Signal
        Number of the next plane, if it is of the same vector.
    """
    next_index = Signal.like(index, name=name)
    with m.If(moves & ~tag.last):
        m.d.sync += next_index.eq(Mux(tag.first, 0, next_index) + 1)
    m.d.comb += check(~tag.valid | (index == Mux(tag.first, 0, next_index)))
    return next_index


class PutsSumsTogether(Elaboratable):
    """From a vector's last plane until the first bit of the next one comes, its sum is that plane's
    total, as many places up as there were planes before it, and below it the lowest bits of their
    totals; in each lane that its precision uses.

    Only what the precision uses is clocked, and only where a bit comes, whatever comes.
    """

    def __init__(self, register: ResultRegister):
        self.register = register

    def elaborate(self, platform):
        register = self.register
        p = register.parameters
        m = Module()
        inside = Inside(register)
        m.submodules.dut = inside.fragment
        drive_inputs(m, register)
        tag, index = register.tag, register.index
        moves = register.advance & tag.valid
        next_index = number_of_planes(
            m, Assume, tag=tag, index=index, moves=moves, name="next_index"
        )
        m.d.comb += Assume(sum(tag.weight_bits) <= 1)

        # Vectors of up to 16 planes are meant, from their first on.
        most = p.max_activation_bits
        came = Signal(range(most + 2))  # planes of the vector under way; none if that is not known
        complete, ends = Signal(), Signal()
        plane = Mux(tag.first, 0, came)
        m.d.comb += [
            ends.eq(moves & tag.last),
            complete.eq(ends & (tag.first | (came > 0)) & (plane < most)),
        ]
        with m.If(moves):
            with m.If(tag.last | (~tag.first & (came == 0)) | (plane == most)):
                m.d.sync += came.eq(0)
            with m.Else():
                m.d.sync += came.eq(plane + 1)
        known, precision, planes = Signal(), Signal.like(tag.weight_bits), Signal.like(came)
        with m.If(ends):
            m.d.sync += [
                known.eq(complete),
                precision.eq(tag.weight_bits),
                planes.eq(plane + 1),
            ]
        with m.Elif(moves):
            m.d.sync += known.eq(0)

        m.d.comb += Assert(came <= most)
        low = [inside[f"low_{place}"] for place in range(most - 1)]
        with m.If(came > 0):
            m.d.comb += Assert(next_index == came[: len(index)])
        for lane in range(p.lanes):
            total, result = register.totals[str(lane)], register.sums[str(lane)]
            left, below = Signal(most, name=f"left_{lane}"), Signal(most, name=f"below_{lane}")
            m.d.comb += below.eq(Mux(tag.first, 0, left))
            with m.If(moves & ~tag.last):
                m.d.sync += left.eq(below | (total[0] << index))
            for n in (n for n in p.weight_widths if n <= p.lane_weight_bits(lane)):
                meant = p.weight_widths.index(n)
                number = total[: p.total_width(n)].as_signed()
                expected = Signal(signed(p.total_width(n) + most - 1), name=f"sum_{n}_{lane}")
                with m.If(complete & tag.weight_bits[meant]):
                    m.d.sync += expected.eq((number << index) | below)
                with m.If(known & precision[meant]):
                    m.d.comb += Assert(result == expected)
                if lane == 0:
                    with m.If(known & precision[meant] & (planes == most)):
                        m.d.comb += [Cover(expected < 0), Cover(expected > 0)]
            # Inside, for induction.
            with m.If(came > 0):
                m.d.comb += Assert(left >> came == 0)
                for place, bits in enumerate(low):
                    with m.If(came > place):
                        m.d.comb += Assert(bits[lane] == left[place])

        since_reset = Signal()
        m.d.sync += since_reset.eq(1)
        for place, bits in enumerate(low):
            comes = previous(m, moves & ~tag.last & (index == place), name=f"comes_{place}")
            before = previous(m, bits, name=f"low_before_{place}")
            with m.If(since_reset & ~comes):
                m.d.comb += Assert(bits == before)
        for lane in range(p.lanes):
            held = Value.cast(inside[f"total_{lane}"])
            before = previous(m, held, name=f"total_before_{lane}")
            narrower = 0
            for n in (n for n in p.weight_widths if n <= p.lane_weight_bits(lane)):
                part = slice(narrower, p.total_width(n))
                uses = Cat(
                    tag.weight_bits[level]
                    for level, other in enumerate(p.weight_widths)
                    if n <= other <= p.lane_weight_bits(lane)
                ).any()
                clocked = previous(m, ends & uses, name=f"clocked_{n}_{lane}")
                with m.If(since_reset & ~clocked):
                    m.d.comb += Assert(held[part] == before[part])
                narrower = p.total_width(n)
        return m
