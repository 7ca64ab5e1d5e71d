"""Threshold lane: from an accumulator to an activation of one or two bits, by comparing."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.port_types import Aggregate, Component

__all__ = ["ACTIVATION_BITS", "THRESHOLD_BITS", "ThresholdLane", "thresholds_layout"]

THRESHOLD_BITS = PlatformParameters.threshold_bits

ACTIVATION_BITS = PlatformParameters.threshold_planes + 1
"""Bits of an activation, so that it is signed whatever it was."""


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


class ThresholdLane(Component):
    """Counts how many thresholds an accumulator has reached::

        activation = least + (sum >= first) + (sum >= second) + (sum >= third)

    Where an output's activations fall, it counts the thresholds that the sum has not reached.
    ``least`` is the format's least number. An activation of one bit has the first threshold alone.

    Combinational.

    Members
    -------
    sum : In
        Accumulator.
    thresholds : :func:`thresholds_layout`, In
    planes : In
        Bits of an activation, 1 or 2.
    signed : In
        Activations are two's complement.
    activation : signed, Out
    """

    sum: Signal
    thresholds: Aggregate
    planes: Signal
    signed: Signal
    activation: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "sum": In(signed(THRESHOLD_BITS)),
                "thresholds": In(thresholds_layout()),
                "planes": In(2),
                "signed": In(1),
                "activation": Out(signed(ACTIVATION_BITS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        first, second, third = (
            (self.sum >= self.thresholds[name]) ^ self.thresholds.falling
            for name in ("first", "second", "third")
        )
        narrow = self.planes == 1
        count = Mux(narrow, first, first + second + third)
        least = Mux(self.signed, Mux(narrow, -1, -2), 0)
        m.d.comb += self.activation.eq(least + count)
        return m
