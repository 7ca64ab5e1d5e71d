"""Fusing: the counts of neighbouring columns become the sum of one weight's bits."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from adq.rtl import bit_slice
from adq.rtl.bit_slice import spread
from adq.rtl.parameters import TileParameters

__all__ = ["Fuser"]


class Fuser(wiring.Component):
    """Adds neighbouring columns by their bit weights, the top column of a weight negatively::

        counts -> pairs -+-> kw=2
                         |
                         +-> quads -+-> kw=4
                                    |
                                    +-> octets -> | -+-> kw=8
                                                     |
                                                     +-> sixteens -> kw=16

    ``|`` is a register: at 8 and 16 bits sums are held where they are fewest.

    Latency: none at 2 and 4 bits, a cycle at 8 and 16. Throughput: a plane a cycle.

    Members
    -------
    counts : array of ``count_width`` words of ``columns`` bits, In
        Bit slice of the counts, columns in the order of ``sliced_columns``.
    weight_bits : one bit each of 2, 4, 8, 16, In
        One-hot: precision of the counts.
    step : In
        Clocks the register.
    fused_2, fused_4, fused_8, fused_16 : array of ``plane_width(n)`` words of ``columns / n`` bits
        Bit slices of the signed sums of ``n`` columns, Out.
    """

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

    def elaborate(self, platform):
        p = self.parameters
        m = Module()

        def halves(words):
            middle = len(words[0]) // 2
            return (
                bit_slice.lanes_of(words, slice(None, middle)),
                bit_slice.lanes_of(words, slice(middle, None)),
            )

        def join(low, high, columns, carry=None):
            """``low + high * 2**(columns / 2)``, and the carry at that place."""
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

        def join_halves(words, columns):
            """A lower half without a sign: where these sums are used, no top column is in it."""
            low, high = halves(words)
            return join(low[: p.fused_width(columns // 2) - 1], high, columns)

        # Of every pair of columns the high one can be the top of a weight. All of them are at 2
        # bits; at each further precision it is the upper half of the lanes of the one before.
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

        # -count = ~count + 1: a top column enters inverted, and the bit that says so is both the
        # sign of its inverse and the one to add.
        low, high = halves(list(self.counts))
        pair = join(low, [*(word ^ top for word in high), top], 2, carry=top)
        quad = join_halves(pair, 4)
        octet = join_halves(quad, 8)[: p.plane_width(8)]
        fused = {2: pair, 4: quad, 8: bit_slice.register(m, octet, self.step, name="octet")}
        fused[16] = join_halves(fused[8], 16)
        for columns, words in fused.items():
            port = getattr(self, f"fused_{columns}")
            m.d.comb += [word.eq(q) for word, q in zip(port, words[: len(port)], strict=True)]
        return m
