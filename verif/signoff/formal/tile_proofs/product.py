"""Column counter and shift-add together: from bit products to the sum of products."""

from amaranth.hdl import (
    Array,
    Assert,
    Assume,
    Cat,
    Cover,
    Elaboratable,
    Module,
    Mux,
    Signal,
    signed,
)

from adq.rtl.bit_slice import lane_value
from adq.rtl.parameters import TileParameters
from adq.rtl.pim_tile.column_counter import ColumnCounter
from adq.rtl.shift_add.shift_add import ShiftAdd
from adq.verif.signoff.formal.environment import any_value, never_reset, previous
from adq.verif.signoff.formal.inside import Inside

__all__ = ["SumsProducts"]


class SumsProducts(Elaboratable):
    """The result of a job of one vector is the sum of its products, for unknown weights and
    activations, of unknown width and sign.

    Planes enter one a cycle from the first on, and the result is taken at once: the whole job lies
    in ``cycles`` cycles, so that a proof of that depth is complete for it. After each plane
    the accumulators and the bits that left them are the products with the activations as far as
    they have come, which is claimed as well, so that a solver meets one addition at a time.
    """

    def __init__(self, parameters: TileParameters, *, weight_bits: int, most_bits: int):
        self.parameters = parameters
        self.weight_bits = weight_bits
        self.most_bits = most_bits

    @staticmethod
    def cycles(parameters: TileParameters, *, weight_bits: int, most_bits: int) -> int:
        """Return the cycles from reset to the cycle after the result."""
        # The first stage of the tile's latency, the row lines, lies before the column counter.
        return most_bits + parameters.latency(weight_bits) + 1

    def elaborate(self, platform):
        p, kw = self.parameters, self.weight_bits
        m = Module()
        shift_add = ShiftAdd(p)
        inside = Inside(shift_add)
        m.submodules.counter = counter = ColumnCounter(p)
        m.submodules.shift_add = inside.fragment
        never_reset(m)

        weights = [any_value(m, p.columns, name=f"weights_{row}") for row in range(p.rows)]
        words = [any_value(m, self.most_bits, name=f"word_{row}") for row in range(p.rows)]
        bits = any_value(m, range(self.most_bits + 1), name="bits")
        negative = any_value(m, 1, name="signed")
        m.d.comb += Assume((bits > 0) & (bits <= self.most_bits))

        # One plane a cycle, and those from ``bits`` on do not enter.
        index = Signal(range(self.most_bits + 1))
        m.d.sync += index.eq(Mux(index == self.most_bits, index, index + 1))
        plane = Signal(p.rows)
        with m.Switch(index):
            for n in range(self.most_bits):
                with m.Case(n):
                    m.d.comb += plane.eq(Cat(word[n] for word in words))
        tag = shift_add.tag
        m.d.comb += [
            tag.valid.eq(index < bits),
            tag.zero.eq(plane == 0),
            tag.first.eq(index == 0),
            tag.last.eq(index == bits - 1),
            tag.negative.eq(negative & tag.last),
            tag.first_block.eq(1),
            tag.last_block.eq(1),
            tag.last_vector.eq(1),
            tag.weight_bits.eq(1 << p.weight_widths.index(kw)),
            shift_add.results.ready.eq(1),
        ]
        m.d.comb += [
            counter.products[row].eq(
                Mux(plane[row], Cat(weights[row][column] for column in p.sliced_columns), 0)
            )
            for row in range(p.rows)
        ]
        m.d.comb += [a.eq(b) for a, b in zip(shift_add.counts, counter.counts, strict=True)]

        # The activations as far as they have come, and their products with the weights of one
        # output, which is unknown: what holds for it holds for all.
        output = any_value(m, range(p.outputs(kw)), name="output")
        m.d.comb += Assume(output < p.outputs(kw))
        products = []
        for row, word in enumerate(weights):
            weight = any_value(m, signed(kw), name=f"weight_{row}")
            m.d.comb += Assume(word.word_select(output, kw) == weight.as_unsigned())
            value = Signal(signed(self.most_bits + 1), name=f"value_{row}")
            product = Signal(signed(kw + self.most_bits), name=f"product_{row}")
            sign = Mux(tag.negative, -1, 1)
            with m.If(tag.valid & plane[row]):
                m.d.sync += [
                    value.eq(value + (sign << index)),
                    product.eq(product + ((sign * weight) << index)),
                ]
            m.d.comb += Assert(product == weight * value)
            with m.If(index == self.most_bits), m.Switch(bits):
                for n in range(1, self.most_bits + 1):
                    with m.Case(n):
                        whole = Mux(negative, words[row][:n].as_signed(), words[row][:n])
                        m.d.comb += Assert(value == whole)
            products.append(product)
        # The same as they reach the accumulators and the results.
        stages = p.latency(kw) - 1
        expected, entered = sum(products), index
        for stage in range(1, stages):
            expected = previous(m, expected, name=f"products_{stage}")
            entered = previous(m, entered, name=f"entered_{stage}")
        held, left = self.so_far(inside)
        for n in range(1, self.most_bits):
            with m.If((entered == n) & (n < bits)):
                below = Array(bits_left[:n] for bits_left in left)[output]
                m.d.comb += Assert((Array(held)[output] << n) + below == expected)

        results = shift_add.results
        due = previous(m, tag.valid & tag.last, name="due_0")
        for stage in range(1, stages):
            due = previous(m, due, name=f"due_{stage}")
        m.d.comb += Assert(results.valid == due)
        with m.If(results.valid):
            lanes = [results.payload.outputs[o * kw // 2] for o in range(p.outputs(kw))]
            m.d.comb += Assert(Array(lanes)[output] == expected)
            m.d.comb += [
                Assert(results.payload.last),
                Assert(results.payload.status.as_value() == 0),
            ]
        m.d.comb += [
            Cover(due & (bits == n) & (negative == sign))
            for n in range(1, self.most_bits + 1)
            for sign in (0, 1)
        ]
        return m

    def so_far(self, inside):
        """Return the accumulator of each output together with the bits that have left it."""
        p, kw = self.parameters, self.weight_bits
        accumulators = {}
        for widest in reversed(p.weight_widths):
            if kw not in p.accumulator_weight_bits(widest):
                continue
            part = inside.part(f"accumulator_{widest}")
            words = [part[f"acc_{word}"] for word in range(p.plane_width(kw))]
            for lane in range(len(words[0])):
                accumulators[p.sliced_lanes[len(accumulators)]] = lane_value(words, lane)
        register = inside.part("collector").part("result_register")
        low = [register[f"low_{place}"] for place in range(p.max_activation_bits - 1)]
        lanes = [output * kw // 2 for output in range(p.outputs(kw))]
        return (
            [accumulators[lane] for lane in lanes],
            [Cat(word[lane] for word in low) for lane in lanes],
        )
