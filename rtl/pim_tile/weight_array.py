"""Weight storage of two banks, and the AND of every weight bit with its row's activation bit."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from adq.rtl.bit_slice import spread
from adq.rtl.interface import weight_layout
from adq.rtl.parameters import TileParameters

__all__ = ["WeightArray"]


class WeightArray(wiring.Component):
    """``rows`` words of ``columns`` bits in each of two banks, and their products with a plane.

    A block is loaded into one bank while the other computes. Each bank has row lines of its own,
    and those of the bank that does not compute stand still, so that loading moves no product. A
    word changes only in the cycle in which it is written.

    Latency: a beat accepted in cycle ``t`` is stored after cycle ``t + 1``, and ``full`` follows
    the last beat with it. Throughput: a beat a cycle.

    Members
    -------
    weights : stream of :func:`adq.rtl.interface.weight_layout`, In
        Blocks of ``weight_beats`` beats, into alternating banks, from bank 0. Not ready while the
        bank to load is full.
    plane : ``rows`` bits, In
        An activation bit a row. It and ``bank`` are held while ``step`` is low.
    bank, step : In
        Which bank the plane is for; the plane is taken at the end of a cycle with ``step`` high.
    release : In
        One bit a bank: its weights have been used for the last time.
    full : Out
        One bit a bank: it holds a block.
    products : array of ``rows`` words of ``columns`` bits, Out
        Products of the plane taken last, columns in the order
        of ``sliced_columns``.
    """

    def __init__(self, parameters: TileParameters):
        self.parameters = parameters
        super().__init__(
            {
                "weights": In(stream.Signature(weight_layout(parameters))),
                "plane": In(parameters.rows),
                "bank": In(1),
                "step": In(1),
                "release": In(parameters.banks),
                "full": Out(parameters.banks),
                "products": Out(data.ArrayLayout(parameters.columns, parameters.rows)),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()

        # A beat waits here for a cycle, so that the wires to every word move only when one loads.
        beat = Signal(data.ArrayLayout(p.columns, p.rows_per_beat), reset_less=True)
        beat_valid = Signal()
        beat_bank = Signal()
        beat_index = Signal(range(p.weight_beats))
        last_beat = Signal()
        load_bank = Signal()
        m.d.comb += [
            last_beat.eq(beat_index == p.weight_beats - 1),
            # After the last beat the bank is about to be full, and the next one is looked at.
            load_bank.eq(beat_bank ^ (beat_valid & last_beat)),
            self.weights.ready.eq(~self.full.bit_select(load_bank, 1)),
        ]
        m.d.sync += beat_valid.eq(self.weights.valid & self.weights.ready)
        with m.If(self.weights.valid & self.weights.ready):
            m.d.sync += [
                word.eq(~Cat(row[column] for column in p.sliced_columns))
                for word, row in zip(beat, self.weights.payload, strict=True)
            ]
        m.d.sync += self.full.eq(self.full & ~self.release)
        with m.If(beat_valid):
            m.d.sync += beat_index.eq(beat_index + 1)
            with m.If(last_beat):
                m.d.sync += [
                    beat_index.eq(0),
                    beat_bank.eq(~beat_bank),
                    self.full.bit_select(beat_bank, 1).eq(1),
                ]

        # Weights and row lines are stored inverted: a product of two banks is then a single cell,
        # an OR-AND-INVERT, of which nothing inverts the output.
        row_lines = [
            Signal(p.rows, name=f"row_lines_{b}", init=2**p.rows - 1) for b in range(p.banks)
        ]
        for bank, lines in enumerate(row_lines):
            chosen = self.step & (self.bank == bank)
            # Those of a bank that is released go high and stay so: loading it moves no product.
            with m.If(chosen | self.release[bank]):
                m.d.sync += lines.eq(~(self.plane & spread(chosen, p.rows)))

        write = [Signal(p.weight_beats, name=f"write_{b}") for b in range(p.banks)]
        for bank, beats in enumerate(write):
            with m.If(beat_valid & (beat_bank == bank)):
                m.d.comb += beats.eq(1 << beat_index)
        for row in range(p.rows):
            zeros = []
            for bank, lines in enumerate(row_lines):
                word = Signal(p.columns, name=f"weights_{bank}_{row}", reset_less=True)
                with m.If(write[bank][row // p.rows_per_beat]):
                    m.d.sync += word.eq(beat[row % p.rows_per_beat])
                zeros.append(word | spread(lines[row], p.columns))
            m.d.comb += self.products[row].eq(~(zeros[0] & zeros[1]))

        return m
