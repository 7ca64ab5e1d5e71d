"""Performance counters that software reads."""

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.interface import Counter

__all__ = ["PerformanceCounters"]


class PerformanceCounters(wiring.Component):
    """Counts what the tile does in each cycle. Counters wrap.

    Parameters
    ----------
    max_planes : int
        Most planes passed over in a cycle.
    bits : int
        Of a counter.

    Members
    -------
    address : :class:`rtl.interface.Counter`, In
    data : ``bits`` bits, Out
        The counter at ``address``, in the same cycle.
    activity : :class:`rtl.interface.Counter`, In
        Which of the exclusive counters this cycle belongs to.
    planes_skipped : In
        Planes passed over in this cycle.
    job_done : In
    """

    def __init__(self, *, max_planes: int, bits: int):
        self.bits = bits
        super().__init__(
            {
                "address": In(Counter),
                "data": Out(bits),
                "activity": In(Counter),
                "planes_skipped": In(range(max_planes + 1)),
                "job_done": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        counters = Array(Signal(self.bits, name=counter.name.lower()) for counter in Counter)
        for counter in Counter:
            if counter < Counter.PLANES_SKIPPED:
                with m.If(self.activity == counter):
                    m.d.sync += counters[counter.value].eq(counters[counter.value] + 1)
        with m.If(self.planes_skipped != 0):
            skipped = counters[Counter.PLANES_SKIPPED.value]
            m.d.sync += skipped.eq(skipped + self.planes_skipped)
        with m.If(self.job_done):
            jobs = counters[Counter.JOBS_DONE.value]
            m.d.sync += jobs.eq(jobs + 1)
        m.d.comb += self.data.eq(counters[self.address])
        return m
