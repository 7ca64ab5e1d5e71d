"""Threshold lane: from an accumulator to an activation of one or two bits, by comparing."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.port_types import Aggregate, Component, Stream

__all__ = ["THRESHOLD_BITS", "ThresholdLane", "compared_layout", "thresholds_layout"]

THRESHOLD_BITS = PlatformParameters.threshold_bits


def thresholds_layout() -> data.StructLayout:
    """Return the layout of the thresholds of an output, in 96 bits.

    ``falling`` says that activations fall where the accumulator rises.
    """
    threshold = signed(THRESHOLD_BITS)
    return data.StructLayout(
        {
            "first": threshold,
            "falling": 1,
            "second": threshold,
            "unused_second": 1,
            "third": threshold,
            "unused_third": 1,
        }
    )


def compared_layout() -> data.StructLayout:
    """Return the layout of an accumulator with its output's thresholds."""
    return data.StructLayout({"sum": signed(THRESHOLD_BITS), "thresholds": thresholds_layout()})


class ThresholdLane(Component):
    """Counts how many thresholds an accumulator has reached::

        activation = least + (sum >= first) + (sum >= second) + (sum >= third)

    Of an output whose activations fall, those are counted that it has not reached. ``least`` is the
    format's least number; an activation of one bit has the first threshold alone.

    It moves in lockstep with a :class:`adq.rtl.platform.requantizer.Requantizer`.

    Latency: 3 cycles. Throughput: one result per cycle.

    Members
    -------
    accumulators : stream of :func:`compared_layout`, In
    planes : In
        Bits of an activation, 1 or 2. It changes only while the pipeline is empty; so does
        ``signed``.
    signed : In
        Activations are two's complement.
    results : stream of signed numbers, Out
    """

    accumulators: Stream
    planes: Signal
    signed: Signal
    results: Stream

    def __init__(self) -> None:
        super().__init__(
            {
                "accumulators": In(stream.Signature(compared_layout())),
                "planes": In(2),
                "signed": In(1),
                "results": Out(stream.Signature(signed(3))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        given: Aggregate = self.accumulators.payload
        thresholds = given.thresholds
        first, second, third = (
            (given.sum >= thresholds[name]) ^ thresholds.falling
            for name in ("first", "second", "third")
        )
        narrow = self.planes == 1
        count = Mux(narrow, first, first + second + third)
        least = Mux(self.signed, Mux(narrow, -1, -2), 0)

        # A stage moves when the next one does, or is empty.
        valids = [Signal(name=f"valid_{stage}") for stage in range(2)]
        counts = [Signal(2, name=f"count_{stage}", reset_less=True) for stage in range(2)]
        moves = [Signal(name=f"moves_{stage}") for stage in range(3)]
        m.d.comb += [
            moves[2].eq(~self.results.valid | self.results.ready),
            moves[1].eq(~valids[1] | moves[2]),
            moves[0].eq(~valids[0] | moves[1]),
            self.accumulators.ready.eq(moves[0]),
        ]
        stages = (
            (self.accumulators.valid, valids[0], counts[0], count),
            (valids[0], valids[1], counts[1], counts[0]),
            (valids[1], self.results.valid, self.results.payload, counts[1] + least),
        )
        for move, (before, valid, register, value) in zip(moves, stages, strict=True):
            with m.If(move):
                m.d.sync += valid.eq(before)
                with m.If(before):
                    m.d.sync += register.eq(value)
        return m
