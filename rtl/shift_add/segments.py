"""Sums as numbers, a lane each, of which only the segments that a job can reach are clocked."""

from amaranth.hdl import Cat, Mux, Signal, Value, signed
from amaranth.lib import data

from rtl.parameters import TileParameters

__all__ = ["live_segments", "sign_extend", "sums_layout"]


def sums_layout(parameters: TileParameters, width) -> data.StructLayout:
    """A signed number a lane, of ``width(weight_bits)`` bits for the widest weights that use the
    lane.
    """
    return data.StructLayout(
        {
            str(lane): signed(width(parameters.lane_weight_bits(lane)))
            for lane in range(parameters.lanes)
        }
    )


def live_segments(m, count, most: int, *, name: str) -> Signal:
    """A bit for each of ``most`` segments, set in the lowest ``count``."""
    live = Signal(most, name=name)
    m.d.comb += live.eq(Cat(count > segment for segment in range(most)))
    return live


def sign_extend(m, number, live, *, bits: int, name: str) -> Value:
    """A number whose segments of ``bits`` bits hold what they may where they are not ``live``:
    there the sign of the highest that is goes on.
    """
    segments = [number[:bits]]
    for low in range(bits, len(number), bits):
        held = number[low : low + bits]
        segment = Signal(len(held), name=f"{name}_{low}")
        sign = segments[-1][-1].replicate(len(held))
        m.d.comb += segment.eq(Mux(live[len(segments)], held, sign))
        segments.append(segment)
    return Cat(segments).as_signed()
