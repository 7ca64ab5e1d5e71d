"""Performance counters that software reads."""

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from adq.rtl.interface import Counter

__all__ = ["LOW_BITS", "PerformanceCounters"]

LOW_BITS = 8
"""Lowest bits of a counter; those above are clocked when these overflow."""


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
    address : :class:`adq.rtl.interface.Counter`, In
    data : ``bits`` bits, Out
        The counter at ``address``, in the same cycle.
    activity : :class:`adq.rtl.interface.Counter`, In
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

        def count(counter, amount, when):
            """Add to a counter, whose upper bits are clocked when the lower ones overflow."""
            bits = counters[counter.value]
            carry, moves = amount, when
            for word in (bits[:LOW_BITS], bits[LOW_BITS:]):
                total = Signal(len(word) + 1)
                m.d.comb += total.eq(word + carry)
                with m.If(moves):
                    m.d.sync += word.eq(total)
                carry, moves = 1, moves & total[-1]

        for counter in Counter:
            if counter < Counter.PLANES_SKIPPED:
                count(counter, 1, self.activity == counter)
        count(Counter.PLANES_SKIPPED, self.planes_skipped, self.planes_skipped != 0)
        count(Counter.JOBS_DONE, 1, self.job_done)
        m.d.comb += self.data.eq(counters[self.address])
        return m
