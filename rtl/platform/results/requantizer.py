"""Requantizer: from an accumulator to an activation."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from adq.rtl import bit_slice
from adq.rtl.port_types import Aggregate, Component, Stream

__all__ = ["Requantizer", "accumulator_layout"]

MULTIPLIER_BITS = 16
"""Bits of M and of M_skip."""

ACTIVATION_BITS = 16
"""Most bits of an activation."""

TOTAL_BITS = 64
"""Bits of the sum that is shifted."""


def accumulator_layout(
    accumulator_bits: int,
    *,
    multiplier_bits: int = MULTIPLIER_BITS,
    activation_bits: int = ACTIVATION_BITS,
    total_bits: int = TOTAL_BITS,
) -> data.StructLayout:
    """Return the layout of an accumulator with what belongs to its output.

    A skip connection has a bit more than an activation, so that it is signed whatever it was.
    """
    return data.StructLayout(
        {
            "sum": signed(accumulator_bits),
            "skip": signed(activation_bits + 1),
            "multiplier": signed(multiplier_bits),
            "skip_multiplier": signed(multiplier_bits),
            "constant": signed(total_bits),
        }
    )


class Requantizer(Component):
    """Computes an activation from an accumulator, or a whole accumulator::

        sum  * multiplier ------+
        skip * skip_multiplier -+-> << skip_shift -> + -> >> shift -> clamp -> results
        constant ---------------+

    ``constant`` holds the bias times the multiplier, an offset and the rounding term, so that
    rounding sees every bit that the shift drops. The sum is taken modulo ``2**total_bits``; the
    planner sees to it that it fits.

    Latency: 3 cycles. Throughput: one result per cycle.

    Parameters
    ----------
    accumulator_bits : int
        Bits of an accumulator.
    multiplier_bits, activation_bits, total_bits : int
        Bits of a multiplier, most bits of an activation, and bits of the sum that is shifted.

    Members
    -------
    accumulators : stream of :func:`accumulator_layout`, In
    shift, skip_shift : In
        S and E of the layer. They change only while the pipeline is empty, and so do the others.
    planes : In
        Bits of an activation, 1 to ``activation_bits``.
    signed : In
        Activations are two's complement.
    raw : In
        Results are whole sums, neither shifted nor clamped.
    results : stream of signed ``total_bits``, Out
    """

    accumulators: Stream
    shift: Signal
    skip_shift: Signal
    planes: Signal
    signed: Signal
    raw: Signal
    results: Stream

    def __init__(
        self,
        accumulator_bits: int,
        *,
        multiplier_bits: int = MULTIPLIER_BITS,
        activation_bits: int = ACTIVATION_BITS,
        total_bits: int = TOTAL_BITS,
    ):
        self.activation_bits = activation_bits
        self.total_bits = total_bits
        self.layout = accumulator_layout(
            accumulator_bits,
            multiplier_bits=multiplier_bits,
            activation_bits=activation_bits,
            total_bits=total_bits,
        )
        super().__init__(
            {
                "accumulators": In(stream.Signature(self.layout)),
                "shift": In(range(total_bits)),
                "skip_shift": In(range(total_bits)),
                "planes": In(range(activation_bits + 1)),
                "signed": In(1),
                "raw": In(1),
                "results": Out(stream.Signature(signed(total_bits))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        given: Aggregate = self.accumulators.payload
        total_bits = self.total_bits

        # A stage moves when the next one does, or is empty.
        valid = [Signal(name=f"valid_{stage}") for stage in range(2)]
        moves = [Signal(name=f"moves_{stage}") for stage in range(3)]
        m.d.comb += [
            moves[2].eq(~self.results.valid | self.results.ready),
            moves[1].eq(~valid[1] | moves[2]),
            moves[0].eq(~valid[0] | moves[1]),
            self.accumulators.ready.eq(moves[0]),
        ]
        for stage, (before, register) in enumerate(
            ((self.accumulators.valid, valid[0]), (valid[0], valid[1]),
             (valid[1], self.results.valid))
        ):  # fmt: skip
            with m.If(moves[stage]):
                m.d.sync += register.eq(before)

        # Operands that are not valid leave the multipliers as they are. Each half of the multiplier
        # has a product of its own: a whole one would be the longest path of the platform.
        half = len(given.multiplier) // 2
        product_bits = len(given.sum) + len(given.multiplier) - half
        low = Signal(signed(product_bits), reset_less=True)
        high = Signal(signed(product_bits), reset_less=True)
        skip_product = Signal(signed(len(given.skip) + len(given.skip_multiplier)), reset_less=True)
        constant = Signal(signed(total_bits), reset_less=True)
        with m.If(moves[0] & self.accumulators.valid):
            m.d.sync += [
                low.eq(given.sum * given.multiplier[:half]),
                high.eq(given.sum * given.multiplier[half:].as_signed()),
                skip_product.eq(given.skip * given.skip_multiplier),
                constant.eq(given.constant),
            ]

        # The skip connection comes last, behind its shift.
        terms = [Signal(signed(total_bits), name=f"term_{number}") for number in range(3)]
        moved = Signal(signed(total_bits))
        m.d.comb += [
            terms[0].eq(low),
            terms[1].eq((high << half)[:total_bits].as_signed()),
            terms[2].eq(constant),
            moved.eq((skip_product << self.skip_shift)[:total_bits].as_signed()),
        ]
        saved, carry = bit_slice.full_adder(m, *terms, name="products")
        saved, carry = bit_slice.full_adder(m, saved, _doubled(carry), moved, name="all")
        total = Signal(signed(total_bits), reset_less=True)
        with m.If(moves[1] & valid[0]):
            m.d.sync += total.eq(saved + _doubled(carry))

        with m.If(moves[2] & valid[1]):
            m.d.sync += self.results.payload.eq(Mux(self.raw, total, self.clamped(m, total)))
        return m

    def clamped(self, m: Module, total: Value) -> Value:
        """Return a sum, shifted and clamped to the activation's format."""
        bits = self.activation_bits
        shifted = Signal(signed(self.total_bits))
        below = Signal(bits)
        m.d.comb += [
            shifted.eq(total >> self.shift),
            # Bits of a magnitude: those below the sign, where there is one.
            below.eq(Cat(self.planes > bit + self.signed for bit in range(bits))),
        ]
        negative = shifted[-1]
        # Beyond the magnitude every bit is that of the sign.
        beyond = Signal(self.total_bits)
        m.d.comb += beyond.eq(shifted ^ negative.replicate(self.total_bits))
        outside = (beyond[:bits] & ~below).any() | beyond[bits:].any() | (negative & ~self.signed)
        most = Signal(signed(bits + 1))
        limit = Signal(signed(bits + 1))
        m.d.comb += [
            most.eq(below),
            limit.eq(Mux(negative, Mux(self.signed, ~most, 0), most)),
        ]
        result = Signal(signed(self.total_bits))
        m.d.comb += result.eq(Mux(outside, limit, shifted))
        return result


def _doubled(carry: Value) -> Value:
    """Return carries at their places, modulo the word."""
    return Cat(Const(0, 1), carry[:-1])
