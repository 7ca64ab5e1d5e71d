"""Companion of requantizers: carries along what belongs to their results."""

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from adq.rtl.port_types import Component, Stream, structure

__all__ = ["Companion"]


class Companion(Component):
    """Carries what belongs to a beat along a requantizer, with which it moves in lockstep.

    Latency: 3 cycles. Throughput: one beat per cycle.

    Members
    -------
    given : stream, In
    results : stream, Out
    busy : Out
        A beat is on its way.
    """

    given: Stream
    results: Stream
    busy: Signal

    def __init__(self, layout: data.StructLayout):
        self.layout = layout
        super().__init__(
            {
                "given": In(stream.Signature(layout)),
                "results": Out(stream.Signature(layout)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        valid: Value = self.given.valid
        beat: Value = self.given.payload.as_value()
        stages: list[tuple[Value, Value]] = [
            (Signal(name=f"valid_{stage}"), structure(self.layout, name=f"beat_{stage}").as_value())
            for stage in range(2)
        ]
        stages.append((self.results.valid, self.results.payload.as_value()))
        moves: Value = self.results.ready
        all_moves: list[Value] = []
        for now_valid, _ in reversed(stages):
            moves = ~now_valid | moves
            all_moves.append(moves)
        for (now_valid, now), moves in zip(stages, reversed(all_moves), strict=True):
            with m.If(moves):
                m.d.sync += now_valid.eq(valid)
                with m.If(valid):
                    m.d.sync += now.eq(beat)
            valid, beat = now_valid, now
        m.d.comb += [
            self.given.ready.eq(all_moves[-1]),
            self.busy.eq(stages[0][0] | stages[1][0] | stages[2][0]),
        ]
        return m
