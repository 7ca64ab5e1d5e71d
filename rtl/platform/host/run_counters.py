"""Run counters: cycles of a run by what happens in them, and beats of the bus."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from adq.rtl.platform.host.register_table import COUNTERS
from adq.rtl.port_types import Component

__all__ = ["COUNTER_BITS", "RunCounters"]

COUNTER_BITS = 64


class RunCounters(Component):
    """Counts the cycles of a run, each in exactly one of
    :data:`adq.rtl.platform.host.register_table.COUNTERS` and in ``cycles``.

    Members
    -------
    begins : In
        A run begins: all counters become 0.
    busy : In
        A run is under way.
    stops, active, settling, fetching, starved, hungry, copying : In
        The run is being stopped; the engine is active; its states; the tile waits for the bus; the
        program waits for a copy.
    reads, writes : In
        A beat is read, or written, in this cycle.
    cycles, ..., write_beats : Out
    """

    begins: Signal
    busy: Signal
    stops: Signal
    active: Signal
    settling: Signal
    fetching: Signal
    starved: Signal
    hungry: Signal
    copying: Signal
    reads: Signal
    writes: Signal

    def __init__(self) -> None:
        states = ("busy", "stops", "active", "settling", "fetching", "starved", "hungry")
        super().__init__(
            {
                "begins": In(1),
                **{name: In(1) for name in (*states, "copying", "reads", "writes")},
                **{name: Out(COUNTER_BITS) for name in ("cycles", *COUNTERS)},
                **{name: Out(COUNTER_BITS) for name in ("read_beats", "write_beats")},
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Why a cycle passes is registered, and counted in the next one.
        counts = {name: Signal(name=f"counts_{name}") for name in COUNTERS}
        why = {name: Signal(name=f"why_{name}") for name in COUNTERS}
        with m.If(self.stops):
            m.d.comb += why["stopping"].eq(1)
        with m.Elif(~self.active):
            m.d.comb += why["copies"].eq(self.copying)
            m.d.comb += why["program"].eq(~self.copying)
        with m.Elif(self.settling):
            m.d.comb += why["settings"].eq(1)
        with m.Elif(self.fetching):
            m.d.comb += why["planes"].eq(1)
        with m.Elif(self.starved):
            m.d.comb += why["bus"].eq(self.hungry)
            m.d.comb += why["weights"].eq(~self.hungry)
        with m.Else():
            m.d.comb += why["results"].eq(1)
        steps = {
            "cycles": self.busy,
            "read_beats": self.reads,
            "write_beats": self.writes,
            **counts,
        }
        for name, counted in counts.items():
            m.d.sync += counted.eq(self.busy & why[name])
        for name, step in steps.items():
            counter = getattr(self, name)
            if name not in counts:
                registered = Signal(name=f"counts_{name}")
                m.d.sync += registered.eq(step)
                step = registered
            m.d.sync += counter.eq(Mux(self.begins, 0, counter + step))
        return m
