"""Properties of the partial sum buffer."""

from amaranth.hdl import Assert, Assume, Const, Cover, Elaboratable, Module, Mux, Signal

from adq.rtl.shift_add.partial_sums import PartialSumBuffer
from adq.verif.signoff.formal.environment import any_value, drive_inputs
from adq.verif.signoff.formal.inside import Inside

__all__ = ["KeepsEntries"]


class KeepsEntries(Elaboratable):
    """A read returns the value last written to its entry, including a write in the same cycle.

    One entry is watched, which is unknown: what holds for it holds for all.
    """

    def __init__(self, buffer: PartialSumBuffer):
        self.buffer = buffer

    def elaborate(self, platform):
        m = Module()
        buffer = self.buffer
        inside = Inside(buffer)
        m.submodules.dut = inside.fragment
        drive_inputs(m, buffer)

        watched = any_value(m, range(buffer.depth), name="watched")
        m.d.comb += Assume(watched < buffer.depth)
        entries = {}
        for move in ("read", "write"):
            [address] = inside.named(f"{move}_entry")
            entries[move] = entry = Signal(range(buffer.depth), name=f"{move}_entry")
            moves, last = getattr(buffer, move), getattr(buffer, f"{move}_last")
            with m.If(moves):
                m.d.sync += entry.eq(Mux(last, 0, entry + 1))
                # No more vectors than entries: the sequencer refuses such a job.
                m.d.comb += Assume(last | (entry < buffer.depth - 1))
            m.d.comb += [Assert(address == entry), Assert(entry < buffer.depth)]
        written = buffer.write & (entries["write"] == watched)
        read = buffer.read & (entries["read"] == watched)

        # Memory has no reset, as the register of what was read.
        known, latest = Signal(), Signal.like(buffer.next_sums, reset_less=True)
        with m.If(written):
            m.d.sync += [known.eq(1), latest.eq(buffer.next_sums)]
        expects, expected = Signal(), Signal.like(buffer.sums, reset_less=True)
        with m.If(buffer.read):
            m.d.sync += expects.eq(read & (known | written))
            m.d.sync += expected.eq(Mux(written, buffer.next_sums, latest))
        with m.If(expects):
            m.d.comb += Assert(buffer.sums == expected)

        stored = Signal.like(buffer.sums)
        inside.fragment.find_subfragment("memory").read_port(
            domain="comb", addr=watched, data=stored, en=Const(1), transparent_for=()
        )
        with m.If(known):
            m.d.comb += Assert(stored == latest)
        m.d.comb += Cover(expects & (watched == buffer.depth - 1) & ~written)
        return m
