"""What entries of the partial sum buffer hold, as a job goes through the tile."""

from dataclasses import dataclass

from amaranth.hdl import Array, Cat, Const, Elaboratable, Module, Mux, Signal
from amaranth.lib import data

from adq.rtl.interface import Status
from adq.rtl.parameters import TileParameters
from adq.rtl.plane_tag import PlaneTag
from adq.verif.signoff.mutation.registers import (
    ADDS,
    HELD,
    PLANE,
    READ_ENTRY,
    SEQUENCER,
    VECTOR,
    WAITING,
    WRITE_ENTRY,
    WRITES,
    WRITES_LAST,
)

__all__ = ["PartialSumHistory"]

RESULT_VALID = "shift_add.collector.results__valid"
RESULT_LAST = "shift_add.collector.results__payload.last"
READ = "shift_add.collector.partial_sums.read"


@dataclass(frozen=True)
class _Buffer:
    """The buffer at some time, as values of the hardware: of each entry whether its sum is of the
    job in progress, and at which precision; where the next sum is written, and read.
    """

    current: list
    precisions: list
    write_entry: object
    read_entry: object

    def holds(self, entry, precision):
        """Whether an entry has a sum of the job in progress, at this precision."""
        alike = [kept == precision for kept in self.precisions]
        return Array(c & a for c, a in zip(self.current, alike, strict=True))[entry]

    def after(self, *, ends, writes, reads, last_vector, precision) -> "_Buffer":
        """The buffer when a stage's vector has been written, read, or was the last of its job."""
        here = [writes & (self.write_entry == entry) for entry in range(len(self.current))]

        def moved(entry, moves):
            return Mux(moves, Mux(last_vector, 0, (entry + 1)[: len(entry)]), entry)[: len(entry)]

        return _Buffer(
            [h | (c & ~ends) for h, c in zip(here, self.current, strict=True)],
            [Mux(h, precision, kept) for h, kept in zip(here, self.precisions, strict=True)],
            moved(self.write_entry, writes),
            moved(self.read_entry, reads),
        )


class PartialSumHistory(Elaboratable):
    """Remembers beside a tile the precision at which each entry of its partial sum buffer was
    written, and whether by the job in progress. Where that is known, it can be said when an entry
    of another tile need not be the same: the lanes that its precision does not use, and all of it
    until the job writes it.

    That a sum is of the job that reads it, at its precision, follows from how vectors are counted
    in the sequencer, in the stages behind it, and in the buffer: ``holds`` says all of it.

    Parameters
    ----------
    parameters : TileParameters

    Attributes
    ----------
    watched : dict of str to Signal
        Wires of the tile, by name; inputs.
    holds : Signal
        Output: what is proved, an invariant of the registers.
    """

    def __init__(self, parameters: TileParameters):
        p = self.parameters = parameters
        precision = len(p.weight_widths)
        shapes = {
            PLANE: PlaneTag,
            WAITING: PlaneTag,
            RESULT_VALID: 1,
            RESULT_LAST: 1,
            HELD: precision,
            ADDS: 1,
            WRITES: 1,
            WRITES_LAST: 1,
            READ: 1,
            READ_ENTRY: range(p.partial_sums),
            WRITE_ENTRY: range(p.partial_sums),
            VECTOR: range(p.vectors),
            f"{SEQUENCER}.last_vector_index": range(p.vectors),
            f"{SEQUENCER}.block": range(p.row_blocks),
            f"{SEQUENCER}.last_block_index": range(p.row_blocks),
            f"{SEQUENCER}.active": 1,
            f"{SEQUENCER}.status": Status,
            f"{SEQUENCER}.weight_bits": precision,
        }
        self.watched = {
            name: Signal(shape, name=f"watched_{place}")
            for place, (name, shape) in enumerate(shapes.items())
        }
        self.holds = Signal()

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        see = self.watched
        held = see[HELD][1:]
        current = Signal(p.partial_sums)
        precisions = [Signal(len(held), name=f"precision_{e}") for e in range(p.partial_sums)]
        now = _Buffer(list(current), precisions, see[WRITE_ENTRY], see[READ_ENTRY])

        # What will be when each stage's vector has come to its end, the oldest first.
        collected = now.after(
            ends=see[RESULT_VALID] & see[RESULT_LAST],
            writes=see[WRITES],
            reads=Const(0),
            last_vector=see[WRITES_LAST],
            precision=held,
        )
        waited = self.behind(collected, see[WAITING])
        counted = self.behind(waited, see[PLANE])
        m.d.sync += [
            current.eq(Cat(collected.current)),
            *(q.eq(d) for q, d in zip(precisions, collected.precisions, strict=True)),
        ]
        read_current = Signal()
        read_precision = Signal(len(held))
        with m.If(see[READ]):
            m.d.sync += [
                read_current.eq(Array(collected.current)[collected.read_entry]),
                read_precision.eq(Array(collected.precisions)[collected.read_entry]),
            ]

        holds = [
            ~(see[WRITES] & see[RESULT_VALID]),
            ~((see[WRITES] | see[RESULT_VALID]) & see[ADDS])
            | (read_current & (read_precision == held)),
            *self.sequencer_holds(counted),
        ]
        for buffer, tag in ((collected, see[WAITING]), (waited, see[PLANE])):
            found = buffer.holds(buffer.read_entry, tag.weight_bits[1:])
            holds.append(~tag.valid | tag.first_block | found)
        m.d.comb += self.holds.eq(Cat(holds).all())
        return m

    def behind(self, buffer: _Buffer, tag: data.View) -> _Buffer:
        """The buffer when the plane of a stage has come to its end."""
        ends = tag.valid & tag.last
        return buffer.after(
            ends=ends & tag.last_block & (tag.last_vector | (tag.status != Status.OK)),
            writes=ends & ~tag.last_block,
            reads=ends & ~tag.first_block,
            last_vector=tag.last_vector,
            precision=tag.weight_bits[1:],
        )

    def sequencer_holds(self, buffer: _Buffer) -> list:
        """What the sequencer's counts say of the buffer, when all before it have come to their
        end.
        """
        see = self.watched
        vector, block = see[VECTOR], see[f"{SEQUENCER}.block"]
        last_vector = see[f"{SEQUENCER}.last_vector_index"]
        last_block = see[f"{SEQUENCER}.last_block_index"]
        runs = see[f"{SEQUENCER}.active"] & (see[f"{SEQUENCER}.status"] == Status.OK)
        precision = see[f"{SEQUENCER}.weight_bits"][1:]
        holds = [
            buffer.write_entry == Mux(runs & (block != last_block), vector, 0),
            buffer.read_entry == Mux(runs & (block != 0), vector, 0),
            Mux(
                runs, (vector <= last_vector) & (block <= last_block), (vector == 0) & (block == 0)
            ),
            ~runs | (last_block == 0) | (last_vector < len(buffer.current)),
        ]
        for entry in range(len(buffer.current)):
            written = Mux(block == 0, (last_block != 0) & (vector > entry), last_vector >= entry)
            holds.append(~(runs & written) | buffer.holds(entry, precision))
        return holds
