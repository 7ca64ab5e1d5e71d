"""Properties of the weight array."""

from amaranth.hdl import Array, Assert, Assume, Cat, Const, Cover, Elaboratable, Module, Mux, Signal

from adq.rtl.pim_tile.weight_array import WeightArray
from adq.verif.signoff.formal.environment import any_value, drive_inputs, hold_offers
from adq.verif.signoff.formal.inside import Inside

__all__ = ["KeepsWeights", "use_of_banks"]


def use_of_banks(m, check, *, step, bank, release, full) -> tuple[Signal, Signal]:
    """Assume or assert how the tile uses the banks: it computes with a full bank, and releases it
    after its last plane, at the latest in the cycle of the first step of the other bank.

    Parameters
    ----------
    check
        ``Assume`` where the array is proved, ``Assert`` where the tile is.

    Returns
    -------
    plane_bank, computes : Signal
        Bank of the last step, and whether it has not been released since.
    """
    plane_bank, computes = Signal(), Signal()
    released = release.bit_select(plane_bank, 1)
    with m.If(step):
        m.d.sync += [plane_bank.eq(bank), computes.eq(1)]
        m.d.comb += [
            check(full.bit_select(bank, 1)),
            check(~release.bit_select(bank, 1)),
            check(~computes | released | (bank == plane_bank)),
        ]
    with m.Elif(released):
        m.d.sync += computes.eq(0)
    m.d.comb += check((release & ~full) == 0)
    return plane_bank, computes


class KeepsWeights(Elaboratable):
    """No weight beat is lost, repeated or overwritten before its bank is released. The products are
    those of the last plane taken with the weights of its bank.

    One row of one bank is watched, which is unknown: what holds for it holds for all.
    """

    def __init__(self, array: WeightArray):
        self.array = array

    def elaborate(self, platform):
        p = self.array.parameters
        m = Module()
        array = self.array
        inside = Inside(array)
        m.submodules.dut = inside.fragment
        drive_inputs(m, array)
        hold_offers(m, array.weights, Assume, name="weights")

        bank = any_value(m, range(p.banks), name="watched_bank")
        row = any_value(m, range(p.rows), name="watched_row")
        m.d.comb += Assume(row < p.rows)

        # A beat that was accepted is stored a cycle later, and fills its bank if it is the last.
        beat, beat_bank = Signal(range(p.weight_beats)), Signal(range(p.banks))
        last = beat == p.weight_beats - 1
        accepted = array.weights.valid & array.weights.ready
        with m.If(accepted):
            m.d.sync += [beat.eq(Mux(last, 0, beat + 1)), beat_bank.eq(beat_bank ^ last)]
        rows = Array(array.weights.payload[r % p.rows_per_beat] for r in range(p.rows))
        beats = Array(Const(r // p.rows_per_beat) for r in range(p.rows))
        meant = accepted & (beat_bank == bank) & (beats[row] == beat)
        arrives, arriving = Signal(), Signal(p.columns)
        filling = Signal(p.banks)
        m.d.sync += [
            arrives.eq(meant),
            arriving.eq(Cat(rows[row][column] for column in p.sliced_columns)),
            filling.eq(Mux(accepted & last, 1 << beat_bank, 0)),
        ]
        known, word = Signal(), Signal(p.columns, reset_less=True)
        with m.If(arrives):
            m.d.sync += [known.eq(1), word.eq(arriving)]
        full = Signal(p.banks, name="expected_full")
        m.d.sync += full.eq((full & ~array.release) | filling)

        plane = Signal(p.rows)
        with m.If(array.step):
            m.d.sync += plane.eq(array.plane)
        plane_bank, computes = use_of_banks(
            m,
            Assume,
            step=array.step,
            bank=array.bank,
            release=array.release,
            full=array.full,
        )

        stored = [
            Array(inside[f"weights_{b}_{r}"] for r in range(p.rows))[row] for b in range(p.banks)
        ]
        m.d.comb += [
            Assert(array.full == full),
            Assert(~full.bit_select(bank, 1) | known),
            # A beat is never taken into a bank that is full, or about to be.
            Assert(~(accepted & (full | filling).bit_select(beat_bank, 1))),
        ]
        with m.If(computes):
            m.d.comb += Assert(full.bit_select(plane_bank, 1))
            with m.If(plane_bank == bank):
                products = Array(array.products)[row]
                m.d.comb += Assert(products == Mux(plane.bit_select(row, 1), word, 0))
        with m.Else():
            m.d.comb += [Assert(product == 0) for product in array.products]

        # Inside, for induction: weights and row lines are stored inverted.
        with m.If(known):
            m.d.comb += Assert(Array(stored)[bank] == ~word)
        for b in range(p.banks):
            # A word that is written is multiplied by 0, so that it may show half a cycle earlier: a
            # latch can hold it (``adq.verif.synthesis.clock.latches``).
            row_line = inside[f"row_lines_{b}"].bit_select(row, 1)
            m.d.comb += Assert(~(arrives & (bank == b)) | row_line)
            lines = Mux(computes & (plane_bank == b), plane, 0)
            m.d.comb += Assert(inside[f"row_lines_{b}"] == ~lines)
        waiting = Signal()
        waiting_beat, waiting_bank = Signal.like(beat), Signal.like(beat_bank)
        m.d.sync += [waiting.eq(accepted), waiting_beat.eq(beat), waiting_bank.eq(beat_bank)]
        m.d.comb += [
            Assert(beat < p.weight_beats),
            Assert(inside["beat_valid"] == waiting),
            Assert(inside["beat_index"] == Mux(waiting, waiting_beat, beat)),
            Assert(inside["beat_bank"] == Mux(waiting, waiting_bank, beat_bank)),
            Assert(~filling.bit_select(bank, 1) | known | arrives),
            Assert(~((beat_bank == bank) & (beat > beats[row])) | known | arrives),
        ]
        with m.If(arrives):
            place = Array(Const(r % p.rows_per_beat) for r in range(p.rows))[row]
            m.d.comb += [
                Assert(inside["beat"].word_select(place, p.columns) == ~arriving),
                Assert(waiting & (waiting_bank == bank) & (waiting_beat == beats[row])),
            ]
        with m.If(waiting):
            follows = Mux(waiting_beat == p.weight_beats - 1, 0, waiting_beat + 1)
            m.d.comb += [
                Assert(beat == follows),
                Assert(beat_bank == waiting_bank ^ (follows == 0)),
                Assert(arrives == ((waiting_bank == bank) & (waiting_beat == beats[row]))),
                Assert(filling == Mux(follows == 0, 1 << waiting_bank, 0)),
            ]
        with m.Else():
            m.d.comb += [Assert(~arrives), Assert(filling == 0)]
        m.d.comb += [
            Cover(computes & (plane_bank == 1) & (bank == 1) & (products != 0) & full.all()),
        ]
        return m
