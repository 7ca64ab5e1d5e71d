"""Properties of the performance counters."""

from amaranth.hdl import Array, Assert, Assume, Cover, Elaboratable, Module, Signal

from adq.rtl.interface import Counter
from adq.rtl.pim_tile.counters import PerformanceCounters
from adq.verif.signoff.formal.environment import any_value, drive_inputs

__all__ = ["CountsEachCycle"]


class CountsEachCycle(Elaboratable):
    """A counter at any address, read at any time, has advanced by the number of its events since
    reset: cycles for the first six counters, planes and jobs for the others.
    """

    def __init__(self, counters: PerformanceCounters):
        self.counters = counters

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = counters = self.counters
        drive_inputs(m, counters, leave=("address",))
        watched = any_value(m, Counter, name="watched")
        expected = Signal.like(counters.data, name="expected")
        steps = Array(
            counters.activity == counter if counter < Counter.PLANES_SKIPPED else step
            for counter, step in (
                *((counter, None) for counter in Counter if counter < Counter.PLANES_SKIPPED),
                (Counter.PLANES_SKIPPED, counters.planes_skipped),
                (Counter.JOBS_DONE, counters.job_done),
            )
        )
        m.d.sync += expected.eq(expected + steps[watched])
        m.d.comb += [
            Assume(counters.activity < Counter.PLANES_SKIPPED),
            counters.address.eq(watched),
            Assert(counters.data == expected),
            Cover((watched == Counter.IDLE) & (counters.data == 2)),
            Cover((watched == Counter.PLANES_SKIPPED) & (counters.data > 20)),
            Cover((watched == Counter.JOBS_DONE) & (counters.data == 3)),
        ]
        return m
