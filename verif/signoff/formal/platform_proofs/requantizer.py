"""Properties of the requantizer."""

from amaranth.hdl import Assert, Assume, Cover, Elaboratable, Module, Mux, Signal, signed

from adq.rtl.platform.results.requantizer import Requantizer
from adq.verif.signoff.formal.environment import any_value, any_values, drive_inputs, hold_offers
from adq.verif.signoff.formal.inside import Inside

__all__ = ["Requantizes"]

STAGES = 3
"""Registers between an accumulator and its result."""


class Requantizes(Elaboratable):
    """A result is the sum of its accumulator's products and its constant, shifted and clamped to
    the activation's format; or that sum itself. Results leave in the order of their accumulators,
    each once, and stay until they are taken.

    One accumulator is watched, any of them. What its result must be is computed when it is taken,
    with operators of arithmetic alone.
    """

    def __init__(self, requantizer: Requantizer):
        self.requantizer = requantizer

    def elaborate(self, platform):
        m = Module()
        dut = self.requantizer
        inside = Inside(dut)
        m.submodules.dut = inside.fragment
        total_bits = dut.total_bits
        names = ("shift", "skip_shift", "planes", "signed", "raw")
        settings = {name: any_value(m, getattr(dut, name).shape(), name=name) for name in names}
        drive_inputs(m, dut, leave=names)
        m.d.comb += [getattr(dut, name).eq(value) for name, value in settings.items()]
        planes = settings["planes"]
        m.d.comb += Assume((planes >= 1) & (planes <= dut.activation_bits))
        hold_offers(m, dut.results, Assert, name="results")

        given = dut.accumulators.payload
        total = Signal(signed(total_bits))
        m.d.comb += total.eq(
            given.sum * given.multiplier
            + ((given.skip * given.skip_multiplier) << settings["skip_shift"])
            + given.constant
        )

        # Beats under way; and of these, those up to the watched one, which is the last that counts.
        taken = dut.accumulators.valid & dut.accumulators.ready
        given_back = dut.results.valid & dut.results.ready
        under_way = Signal(range(STAGES + 1))
        ahead = Signal(range(STAGES + 1))
        expected = Signal(signed(total_bits), reset_less=True)
        watch = any_values(m, 1, name="watch")
        m.d.sync += under_way.eq(under_way + taken - given_back)
        with m.If((ahead == 0) & taken & watch):
            m.d.sync += [ahead.eq(under_way + 1 - given_back), expected.eq(total)]
        with m.Elif(ahead != 0):
            m.d.sync += ahead.eq(ahead - given_back)

        low, high = _limits(m, planes, settings["signed"], dut.activation_bits)
        shifted = Signal(signed(total_bits))
        activation = Signal(signed(total_bits))
        m.d.comb += [
            shifted.eq(expected >> settings["shift"]),
            activation.eq(Mux(shifted < low, low, Mux(shifted > high, high, shifted))),
        ]
        wanted = Mux(settings["raw"], expected, activation)
        with m.If((ahead == 1) & dut.results.valid):
            m.d.comb += Assert(dut.results.payload == wanted)

        # Induction needs the stages: where the watched beat is, and what is computed there.
        valid = [inside["valid_0"], inside["valid_1"], dut.results.valid]
        m.d.comb += [
            Assert(under_way == sum(valid)),
            Assert(ahead <= under_way),
        ]
        halves = inside["low"] + (inside["high"] << len(given.multiplier) // 2)
        first = Signal(signed(total_bits))
        m.d.comb += first.eq(
            halves + (inside["skip_product"] << settings["skip_shift"]) + inside["constant"]
        )
        behind_last = sum(valid[1:])
        with m.If((ahead != 0) & valid[0] & (ahead == behind_last + 1)):
            m.d.comb += Assert(first == expected)
        with m.If((ahead != 0) & valid[1] & (ahead == valid[2] + 1)):
            m.d.comb += Assert(inside["total"] == expected)
        seen = (ahead == 1) & dut.results.valid & ~settings["raw"]
        m.d.comb += [
            Cover(seen & (shifted > high) & (high > 1)),
            Cover(seen & (shifted < low) & settings["signed"]),
            Cover(seen & (shifted == activation) & (shifted < 0)),
            Cover((ahead == 1) & dut.results.valid & settings["raw"] & (expected < 0)),
        ]
        return m


def _limits(m: Module, planes, is_signed, most: int) -> tuple[Signal, Signal]:
    """Return the least and the largest number of an activation's format."""
    low = Signal(signed(most + 1))
    high = Signal(signed(most + 1))
    with m.Switch(planes):
        for bits in range(1, most + 1):
            with m.Case(bits):
                m.d.comb += [
                    low.eq(Mux(is_signed, -(2 ** (bits - 1)), 0)),
                    high.eq(Mux(is_signed, 2 ** (bits - 1) - 1, 2**bits - 1)),
                ]
    return low, high
