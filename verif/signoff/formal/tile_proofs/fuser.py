"""Properties of the fuser."""

from amaranth.hdl import Assert, Assume, Cat, Cover, Elaboratable, Module, Signal

from adq.rtl.bit_slice import lane_value
from adq.rtl.shift_add.fuser import Fuser
from adq.verif.signoff.formal.environment import drive_inputs

__all__ = ["FusesColumns"]


class FusesColumns(Elaboratable):
    """At a given precision, each lane holds the sum of its column counts weighted by their bits,
    the top one negative, without overflow. At 2 and 4 bits these are the current counts, otherwise
    the counts of the previous step.
    """

    def __init__(self, fuser: Fuser, *, weight_bits: int):
        self.fuser = fuser
        self.weight_bits = weight_bits

    def elaborate(self, platform):
        p, n = self.fuser.parameters, self.weight_bits
        m = Module()
        m.submodules.dut = fuser = self.fuser
        drive_inputs(m, fuser, leave=("weight_bits",))
        m.d.comb += fuser.weight_bits.eq(1 << p.weight_widths.index(n))

        counts = {
            column: Cat(word[place] for word in fuser.counts)
            for place, column in enumerate(p.sliced_columns)
        }
        m.d.comb += [Assume(count <= p.rows) for count in counts.values()]
        fused = list(getattr(fuser, f"fused_{n}"))
        registered = n not in p.direct_widths
        known = Signal(init=not registered)
        with m.If(fuser.step):
            m.d.sync += known.eq(1)
        for lane in range(p.outputs(n)):
            columns = range(lane * n, (lane + 1) * n)
            weights = [*(1 << i for i in range(n - 1)), -(1 << (n - 1))]
            total = sum(counts[c] * w for c, w in zip(columns, weights, strict=True))
            expected = Signal(total.shape(), name=f"expected_{lane}", reset_less=True)
            if registered:
                with m.If(fuser.step):
                    m.d.sync += expected.eq(total)
            else:
                m.d.comb += expected.eq(total)
            place = [column // n for column in p.sliced_columns[: p.outputs(n)]].index(lane)
            with m.If(known):
                m.d.comb += Assert(lane_value(fused, place) == expected)
        m.d.comb += [Cover(known & (expected > 0)), Cover(known & (expected < 0))]
        return m
