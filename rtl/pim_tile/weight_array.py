"""Weight array: storage in two banks, and the AND of weight bits with activation bits."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from adq.rtl.bit_slice import spread
from adq.rtl.interface import weight_layout
from adq.rtl.parameters import ParameterError, TileParameters
from adq.rtl.port_types import Component, Stream, Words

__all__ = ["WeightArray"]

MAXIMUM_CELLS = 2**16 - 1
"""Bits of a signal in Amaranth's netlists, of which the products are one."""


def require_generable(parameters: TileParameters) -> None:
    """Refuse an array whose hardware cannot be generated.

    Raises
    ------
    ParameterError
        It has more than ``MAXIMUM_CELLS``.

    """
    cells = parameters.rows * parameters.columns
    if cells > MAXIMUM_CELLS:
        raise ParameterError(
            f"a tile of {parameters.rows} x {parameters.columns} has {cells} bit cells, more than "
            f"the {MAXIMUM_CELLS} whose hardware can be generated; cycles and energy of larger "
            "tiles are predicted by `adq map` and `adq energy`"
        )


class WeightArray(Component):
    """Stores two banks of ``rows`` x ``columns`` weight bits and multiplies them with bit planes.

    A block loads into one bank while the other bank computes. Each bank has its own word lines. The
    word lines of the loading bank do not move, so loading toggles no product. A weight word changes
    only in the cycle that writes it.

    Latency: a beat accepted in cycle ``t`` is stored at the end of cycle ``t + 1``. ``full`` rises
    when the last beat is stored. The products of a plane follow one cycle after its ``step``.
    Throughput: one beat and one plane per cycle.

    Members
    -------
    weights : stream of :func:`adq.rtl.interface.weight_layout`, In
        Blocks of ``weight_beats`` beats, written to alternating banks, starting with bank 0. Not
        ready while the bank to load is full.
    plane : ``rows`` bits, In
        Activation bit of each row. Ignored while ``step`` is low.
    bank : In
        Bank that multiplies the plane.
    step : In
        The plane is taken at the end of this cycle.
    release : In
        One bit per bank: the bank is no longer needed and may load the next block.
    full : Out
        One bit per bank: the bank holds a block.
    products : array of ``rows`` words of ``columns`` bits, Out
        Products of the plane taken last, in the column order ``sliced_columns``.
    """

    weights: Stream
    plane: Signal
    bank: Signal
    step: Signal
    release: Signal
    full: Signal
    products: Words

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

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()

        # Each beat is registered, so the wires to all weight words toggle only during a load.
        beat = Signal(data.ArrayLayout(p.columns, p.rows_per_beat), reset_less=True)
        beat_valid = Signal()
        beat_bank = Signal()
        beat_index = Signal(range(p.weight_beats))
        last_beat = Signal()
        load_bank = Signal()
        m.d.comb += [
            last_beat.eq(beat_index == p.weight_beats - 1),
            # The last beat fills this bank in the next cycle, so the other bank is checked.
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

        # Weights and word lines are stored inverted. The product of two banks then maps to a
        # single OR-AND-INVERT cell, without an inverter at its output.
        row_lines = [
            Signal(p.rows, name=f"row_lines_{b}", init=2**p.rows - 1) for b in range(p.banks)
        ]
        for bank, lines in enumerate(row_lines):
            chosen = self.step & (self.bank == bank)
            # The word lines of a released bank go high and stay high: loading toggles no product.
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
