"""Performance counters that software can read."""

from amaranth.hdl import Array, Module, Signal, Value
from amaranth.lib.wiring import In, Out

from adq.rtl.interface import Counter
from adq.rtl.port_types import Component

__all__ = ["LOW_BITS", "PerformanceCounters"]

LOW_BITS = 8
"""Number of low counter bits that are clocked apart. The upper bits are clocked only when the low
bits overflow."""


class PerformanceCounters(Component):
    """Counts the activity of the tile in each cycle. Counters wrap.

    Latency: one cycle from an event to the counter; reading is combinational.

    Parameters
    ----------
    max_planes : int
        Maximum number of planes skipped in a cycle.
    bits : int
        Width of a counter.

    Members
    -------
    address : :class:`adq.rtl.interface.Counter`, In
    data : ``bits`` bits, Out
        Value of the counter at ``address``, in the same cycle.
    activity : :class:`adq.rtl.interface.Counter`, In
        Cycle counter to increment in this cycle; one of the first six.
    planes_skipped : In
        Number of planes skipped in this cycle.
    job_done : In
        A job ends in this cycle.
    """

    address: Signal
    data: Signal
    activity: Signal
    planes_skipped: Signal
    job_done: Signal

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

    def elaborate(self, platform: object) -> Module:
        m = Module()
        counters = Array(Signal(self.bits, name=counter.name.lower()) for counter in Counter)

        def count(counter: Counter, amount: Value | int, when: Value) -> None:
            """Add ``amount`` to a counter in cycles with ``when`` high."""
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
