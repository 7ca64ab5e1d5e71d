"""Properties of the fuser."""

from amaranth.hdl import Assert, Assume, Cat, Cover, Elaboratable, Module, Signal, signed

from rtl.bit_slice import lane_value
from rtl.shift_add.fuser import Fuser
from verif.formal.environment import drive_inputs, previous

__all__ = ["FusesColumns"]


class FusesColumns(Elaboratable):
    """At one precision, each lane holds the sum of its columns' counts by their bit weights, the
    top one negatively, since the last step.
    """

    def __init__(self, fuser: Fuser, *, weight_bits: int):
        self.fuser = fuser
        self.weight_bits = weight_bits

    def elaborate(self, platform):
        p, n = self.fuser.parameters, self.weight_bits
        m = Module()
        m.submodules.dut = fuser = self.fuser
        drive_inputs(m, fuser, leave=("weight_bits", "step_16"))
        m.d.comb += fuser.weight_bits.eq(1 << p.weight_widths.index(n))

        counts = {
            column: Cat(word[place] for word in fuser.counts)
            for place, column in enumerate(p.sliced_columns)
        }
        m.d.comb += [Assume(count <= p.rows) for count in counts.values()]
        fused = list(getattr(fuser, f"fused_{n}"))
        step = fuser.step
        stepped = Signal()
        with m.If(step):
            m.d.sync += stepped.eq(1)
        if n == p.group_columns:
            # The second register follows the first, a cycle later.
            m.d.comb += fuser.step_16.eq(previous(m, step, name="stepped_before"))
            known = previous(m, stepped, name="known")
        else:
            known = stepped
        for lane in range(p.outputs(n)):
            columns = range(lane * n, (lane + 1) * n)
            weights = [*(1 << i for i in range(n - 1)), -(1 << (n - 1))]
            total = sum(counts[c] * w for c, w in zip(columns, weights, strict=True))
            expected = Signal(signed(p.fused_width(n)), name=f"expected_{lane}", reset_less=True)
            with m.If(step):
                m.d.sync += expected.eq(total)
            if n == p.group_columns:
                later = Signal.like(expected, name=f"later_{lane}", reset_less=True)
                with m.If(fuser.step_16):
                    m.d.sync += later.eq(expected)
                expected = later
            place = [column // n for column in p.sliced_columns[: p.outputs(n)]].index(lane)
            with m.If(known):
                m.d.comb += Assert(lane_value(fused, place) == expected)
        m.d.comb += [Cover(known & (expected > 0)), Cover(known & (expected < 0))]
        return m
