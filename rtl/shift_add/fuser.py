"""Fuser: combines the counts of adjacent columns into the sums of multi-bit weights."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from adq.rtl import bit_slice
from adq.rtl.bit_slice import spread
from adq.rtl.parameters import TileParameters
from adq.rtl.port_types import Component, Words

__all__ = ["Fuser"]


class Fuser(Component):
    """Adds adjacent columns by their bit weights; the top column of a weight is negative::

        counts -> pairs -+-> kw=2
                         |
                         +-> quads -+-> kw=4
                                    |
                                    +-> octets -> | -+-> kw=8
                                                     |
                                                     +-> sixteens -> kw=16

    ``|`` is a pipeline register for 8-bit and 16-bit weights. It is placed where it has the fewest
    bits.

    Latency: none (combinational) for 2-bit and 4-bit weights, one cycle for 8 and 16 bits.
    Throughput: one plane per cycle.

    Members
    -------
    counts : array of ``count_width`` words of ``columns`` bits, In
        Column counts, as a bit slice in the column order ``sliced_columns``.
    weight_bits : 4 bits, In
        One-hot weight width of the counts: 2, 4, 8 or 16 bits.
    step : In
        Clock enable of the pipeline register.
    fused_2, fused_4, fused_8, fused_16 : array of ``plane_width(n)`` words of ``columns / n`` bits
        Signed sums of ``n`` columns, as bit slices, Out.
    """

    counts: Words
    weight_bits: Signal
    step: Signal

    def __init__(self, parameters: TileParameters):
        self.parameters = parameters
        super().__init__(
            {
                "counts": In(data.ArrayLayout(parameters.columns, parameters.count_width)),
                "weight_bits": In(len(parameters.weight_widths)),
                "step": In(1),
                **{
                    f"fused_{n}": Out(
                        data.ArrayLayout(parameters.outputs(n), parameters.plane_width(n))
                    )
                    for n in parameters.weight_widths
                },
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()

        def halves(words: list[Value]) -> tuple[list[Value], list[Value]]:
            middle = len(words[0]) // 2
            return (
                bit_slice.lanes_of(words, slice(None, middle)),
                bit_slice.lanes_of(words, slice(middle, None)),
            )

        def join(
            low: list[Value], high: list[Value], columns: int, carry: Value | None = None
        ) -> list[Value]:
            """Return ``low + (high + carry) * 2**(columns / 2)``."""
            shift = columns // 2
            upper = bit_slice.add(
                m,
                low[shift:],
                bit_slice.resize(high, p.fused_width(columns) - shift),
                carry,
                width=p.fused_width(columns) - shift,
                name=f"fuse_{columns}",
            )
            return low[:shift] + upper

        def join_halves(words: list[Value], columns: int) -> list[Value]:
            """Join the halves of words. The low half is unsigned: it contains no top column."""
            low, high = halves(words)
            return join(low[: p.fused_width(columns // 2) - 1], high, columns)

        # The high column of a pair is the top column of a weight in every lane for 2-bit weights,
        # and in the upper half of the previous width's lanes for each wider weight.
        pairs = p.lanes
        top = Signal(pairs)
        m.d.comb += top.eq(
            Cat(
                spread(self.weight_bits[0], pairs // 2),
                spread(self.weight_bits[:2].any(), pairs // 4),
                spread(self.weight_bits[:3].any(), pairs // 8),
                spread(self.weight_bits.any(), pairs // 8),
            )
        )

        # -count = ~count + 1: the count of a top column is inverted, and `top` is both the sign bit
        # of the inverted count and the 1 to add.
        low, high = halves(list(self.counts))
        pair = join(low, [*(word ^ top for word in high), top], 2, carry=top)
        quad = join_halves(pair, 4)
        octet = join_halves(quad, 8)[: p.plane_width(8)]
        fused: dict[int, list[Value]] = {
            2: pair,
            4: quad,
            8: [*bit_slice.register(m, octet, self.step, name="octet")],
        }
        fused[16] = join_halves(fused[8], 16)
        for columns, words in fused.items():
            port = getattr(self, f"fused_{columns}")
            m.d.comb += [word.eq(q) for word, q in zip(port, words[: len(port)], strict=True)]
        return m
