"""Segments: numbers of which only the bits that a job can reach are clocked."""

from amaranth.hdl import Cat, Mux, Signal, Value

__all__ = ["live_segments", "sign_extend"]


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
