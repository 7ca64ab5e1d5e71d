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

from adq.rtl.shift_add.result_register import ResultRegister
from adq.verif.signoff.formal.environment import drive_inputs, previous
from adq.verif.signoff.formal.inside import Inside

__all__ = ["PutsSumsTogether", "number_of_planes"]


def number_of_planes(m, check, *, tag, index, moves, name: str) -> Signal:
    """Assume or assert how the shift-add numbers planes: consecutively from 0 in each vector.

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
    """From the last plane of a vector until the first plane of the next vector, the sum is the
    total of the last plane, shifted left by the number of earlier planes, and below it the lowest
    bits of their totals, in each lane that the precision uses.

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
        known, precision, before = Signal(), Signal.like(tag.weight_bits), Signal.like(index)
        with m.If(ends):
            m.d.sync += [
                known.eq(complete),
                precision.eq(tag.weight_bits),
                before.eq(plane),
            ]
        with m.Elif(moves):
            m.d.sync += known.eq(0)

        # Planes of a vector share its precision.
        under_way = Signal.like(tag.weight_bits)
        with m.If(moves & tag.first):
            m.d.sync += under_way.eq(tag.weight_bits)
        with m.If(tag.valid & ~tag.first & (came > 0)):
            m.d.comb += Assume(tag.weight_bits == under_way)

        def keeps(weight_bits, lane):
            """Return whether the low bits of a lane are kept: lanes of narrow weights keep them
            only for those.
            """
            if p.lane_weight_bits(lane) not in p.direct_widths:
                return 1
            return Cat(weight_bits[p.weight_widths.index(n)] for n in p.direct_widths).any()

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
            # The bits that left before the last plane, and its total.
            ended_left = Signal(most, name=f"ended_left_{lane}")
            ended_total = Signal(len(total), name=f"ended_total_{lane}")
            with m.If(ends):
                m.d.sync += [ended_left.eq(below), ended_total.eq(total)]
            expected = {
                n: Signal(signed(p.total_width(n) + most - 1), name=f"sum_{n}_{lane}")
                for n in p.weight_widths
                if n <= p.lane_weight_bits(lane)
            }
            with m.Switch(before):
                for count in range(most):
                    with m.Case(count):
                        m.d.comb += [
                            value.eq(
                                Cat(ended_left[:count], ended_total[: p.total_width(n)]).as_signed()
                            )
                            for n, value in expected.items()
                        ]
            held = Value.cast(inside[f"total_{lane}"])
            for n, value in expected.items():
                with m.If(known & precision[p.weight_widths.index(n)]):
                    m.d.comb += Assert(result == value)
                    # Inside, for induction.
                    width = p.total_width(n)
                    m.d.comb += Assert(held[:width] == ended_total[:width])
                    if lane == 0:
                        for sign in (0, 1):
                            m.d.comb += Cover((before == most - 1) & (value[-1] == sign))
            with m.If(came > 0):
                m.d.comb += Assert(left >> came == 0)
            for place, bits in enumerate(low):
                with m.If((came > place) & keeps(under_way, lane)):
                    m.d.comb += Assert(bits[lane] == left[place])
                with m.If(known & (before > place) & keeps(precision, lane)):
                    m.d.comb += Assert(bits[lane] == ended_left[place])
        with m.If(known):
            m.d.comb += [
                Assert(inside["last_index"] == before),
                Assert(inside["weight_bits"] == precision),
            ]

        since_reset = Signal()
        m.d.sync += since_reset.eq(1)
        for place, bits in enumerate(low):
            comes = previous(m, moves & ~tag.last & (index == place), name=f"comes_{place}")
            earlier = previous(m, bits, name=f"low_before_{place}")
            with m.If(since_reset & ~comes):
                m.d.comb += Assert(bits == earlier)
            for lane in range(p.lanes):
                kept = previous(m, keeps(tag.weight_bits, lane), name=f"kept_{place}_{lane}")
                with m.If(since_reset & ~kept):
                    m.d.comb += Assert(bits[lane] == earlier[lane])
        for lane in range(p.lanes):
            held = Value.cast(inside[f"total_{lane}"])
            earlier = previous(m, held, name=f"total_before_{lane}")
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
                    m.d.comb += Assert(held[part] == earlier[part])
                narrower = p.total_width(n)
        return m
