"""Properties of the conductor."""

from amaranth.hdl import Assert, Assume, Cover, Elaboratable, Module, Signal

from adq.rtl.platform.conductor.conductor import Conductor
from adq.verif.signoff.formal.environment import drive_inputs, hold_offers, previous
from adq.verif.signoff.formal.inside import Inside

__all__ = ["StartsLayers"]


class StartsLayers(Elaboratable):
    """Each descriptor that is taken starts one layer, ``start_latency`` cycles later, and the
    next one is taken when that layer has ended. Meanwhile the descriptor stands, and behind
    ``start`` the settings do.
    """

    def __init__(self, conductor: Conductor):
        self.conductor = conductor

    def elaborate(self, platform):
        m = Module()
        dut = self.conductor
        latency = dut.parameters.start_latency
        inside = Inside(dut)
        m.submodules.dut = inside.fragment
        drive_inputs(m, dut)
        hold_offers(m, dut.layers, Assume, name="layers")

        taken = dut.layers.valid & dut.layers.ready
        age = Signal(range(latency + 1))  # cycles since the descriptor; 0 if there is none
        runs = Signal()
        began = previous(m, dut.start, name="began")
        with m.If(taken):
            m.d.sync += age.eq(1)
        with m.Elif(dut.start):
            m.d.sync += [age.eq(0), runs.eq(1)]
        with m.Elif(age != 0):
            m.d.sync += age.eq(age + 1)
        with m.If(began):
            m.d.comb += Assume(dut.busy)
        with m.If(runs & ~dut.busy):
            m.d.sync += runs.eq(0)

        m.d.comb += [
            Assert(dut.start == (age == latency)),
            Assert(~taken | ((age == 0) & ~runs)),
            Assert(dut.active == ((age != 0) | runs)),
            Assert(dut.layers.ready | dut.active),
        ]
        offered = Signal.like(dut.layers.payload.as_value())
        with m.If(taken):
            m.d.sync += offered.eq(dut.layers.payload)
        with m.If(age != 0):
            m.d.comb += Assert(inside["layer"] == offered)
        for name in ("walk", "drain", "work"):
            settings = getattr(dut, name).as_value()
            before = previous(m, settings, name=f"{name}_before")
            with m.If(began | previous(m, runs, name=f"{name}_ran") & runs):
                m.d.comb += Assert(settings == before)

        m.d.comb += [Cover(dut.start), Cover(previous(m, runs, name="ran") & ~runs)]
        return m
