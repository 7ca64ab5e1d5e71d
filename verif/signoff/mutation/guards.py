"""What may excuse that a register of a mutant differs from the tile's."""

import re
from collections.abc import Iterable

from adq.rtl.parameters import TileParameters
from adq.verif.signoff.mutation.registers import (
    ADDS,
    ARRAY,
    COUNTED,
    HELD,
    INDEX,
    LAST_INDEX,
    LOADED,
    PLANE,
    RESULT,
    SEQUENCER,
    TAGS,
    VALID,
    WAITING,
    WRITES,
    Clause,
    activation_bits,
    at_most,
    bits,
    held,
    index_bits,
    kept,
    status,
    weight_bits,
)

__all__ = ["Guards"]


class Guards:
    """Situations in which a register may not matter, as clauses that hold there: where nothing is
    said of a stage, where its job is malformed or of another precision, where a place is not below
    the last plane, where a bank does not compute. Which of them excuse a difference is found out;
    of registers of which it is known what uses them, those that speak of it are tried alone.
    """

    def __init__(self, parameters: TileParameters):
        p = self.parameters = parameters
        self.everywhere = [*self._everywhere()]
        # The result of a malformed job has no precision, as if it were of the lowest.
        self._meant = [(f"~{VALID}", *status(RESULT))]
        if p.partial_sums:
            self._meant.append((f"~{WRITES}",))
        self._lane_of_bit = [
            lane for lane in range(p.lanes) for _ in range(p.result_width(p.lane_weight_bits(lane)))
        ]

    @property
    def all(self) -> list[Clause]:
        """Without those that come twice."""
        p = self.parameters
        several = [self.everywhere, self._accumulators(), self._result()]
        several += (self._weights(b, row) for b in range(p.banks) for row in range(p.rows))
        several += (self._plane(bit) for bit in range(p.max_activation_bits))
        several += (self._low_bit(place, 0) for place in range(p.max_activation_bits - 1))
        if p.partial_sums:
            several += [self._read_sum(0), *(self._sum(e, 0) for e in range(p.partial_sums))]
        return [*dict.fromkeys(clause for clauses in several for clause in clauses)]

    def of(self, names: Iterable[str]) -> list[Clause] | None:
        """Those of a register by its names; nothing where any may excuse it."""
        for pattern, clauses in (
            (r"weight_array\.weights_(\d+)_(\d+)", self._weights),
            (r"feeder\.vector_(\d+)", self._plane),
            (r"shift_add\.collector\.result_register\.low_(\d+)\[(\d+)\]", self._low_bit),
            (r"shift_add\.collector\.result_register\.total_(\d+)", self._total),
            (r"shift_add\.collector\.result_register\.(?:weight_bits|last_index)", self._result),
            (r"shift_add\.collector\.partial_sums\.memory\[(\d+)\]\[(\d+)\]", self._sum),
            (r"shift_add\.collector\.sums\[(\d+)\]", self._read_sum),
            (r"shift_add\.(?:accumulator_|fuser\.|sum_)", self._accumulators),
        ):
            for name in names:
                if found := re.match(pattern, name):
                    return [*clauses(*map(int, found.groups()))]
        return None

    def _precisions(self, lane: int) -> list[int]:
        """Those that use a lane."""
        p = self.parameters
        return [n for n in p.weight_widths if n <= p.lane_weight_bits(lane)]

    def _everywhere(self) -> Iterable[Clause]:
        p = self.parameters
        singles = [
            f"{SEQUENCER}.active",
            *(bit for stage in (SEQUENCER, *TAGS) for bit in (*status(stage), *weight_bits(stage))),
            *(f"{tag}.{mark}" for tag in TAGS for mark in ("valid", "last", "zero", "first")),
            *(f"{tag}.{mark}" for tag in TAGS for mark in ("first_block", "last_block")),
            *status(RESULT),
            *bits(HELD, len(p.weight_widths))[1:],
            *bits(f"{ARRAY}.full", p.banks),
            f"{ARRAY}.beat_valid",
            f"{ARRAY}.beat_bank",
            *INDEX,
            LOADED,
            VALID,
            *((WRITES, ADDS) if p.partial_sums else ()),
        ]
        for single in singles:
            yield (single,)
            yield (f"~{single}",)
        for stage in (SEQUENCER, *TAGS, RESULT):
            yield tuple(status(stage))
        yield tuple(INDEX)
        yield from self._accumulators()

    def _weights(self, bank: int, row: int) -> Iterable[Clause]:
        """The bank is not full, and the beat with this row's is not among those loaded."""
        p = self.parameters
        yield (f"~{ARRAY}.full[{bank}]",)
        other = f"{ARRAY}.beat_bank" if bank == 0 else f"~{ARRAY}.beat_bank"
        index = bits(f"{ARRAY}.beat_index", (p.weight_beats - 1).bit_length())
        for clause in at_most(index, row // p.rows_per_beat):
            yield (other, *clause)

    def _plane(self, bit: int) -> Iterable[Clause]:
        """There is no vector, or its words have no more bits than this many."""
        for clause in at_most(activation_bits(), bit):
            yield (f"~{LOADED}", *clause)

    def _accumulators(self) -> Iterable[Clause]:
        """No plane comes to them, or one that has no bit set, or needs nothing of those before."""
        for tag in TAGS:
            yield (f"~{tag}.valid",)
            for mark in ("zero", "first"):
                yield (f"~{tag}.valid", f"{tag}.{mark}")
            for precision in weight_bits(tag):
                other = f"~{precision}"
                yield (other,)
                yield (f"~{tag}.valid", other)
                yield (other, f"{tag}.zero")
                yield (f"~{tag}.valid", other, f"{tag}.zero")
                yield (f"~{tag}.valid", f"{tag}.first", other)

    def _total(self, lane: int) -> Iterable[Clause]:
        """No sum is put together, to be a result or to be written back, or of other precision."""
        for unless in self._meant:
            for n in self._precisions(lane):
                yield (*unless, *held(n))

    def _result(self) -> Iterable[Clause]:
        """The same, of what belongs to all lanes."""
        yield from self._meant
        yield from self._total(0)

    def _low_bit(self, place: int, lane: int) -> Iterable[Clause]:
        """Nor one to which this place belongs; and no plane comes to a sum of which it is."""
        p = self.parameters
        for unless in self._total(lane):
            for clause in at_most(index_bits(LAST_INDEX), place):
                yield (*unless, *clause)
        for n in self._precisions(lane):
            tag = PLANE if n in p.direct_widths else WAITING
            precision = weight_bits(tag)[p.weight_widths.index(n)]
            for clause in at_most(index_bits(COUNTED), place):
                yield (f"~{tag}.valid", f"{tag}.first", f"~{precision}", *clause)

    def _sum(self, entry: int, bit: int) -> Iterable[Clause]:
        """A sum in the partial sum buffer is not of the job in progress, or of other precision."""
        for n in self._precisions(self._lane_of_bit[bit]):
            yield (f"~history.current[{entry}]", *kept(n, f"history.precision_{entry}"))

    def _read_sum(self, bit: int) -> Iterable[Clause]:
        """Nor one that was read from it, or it is not added."""
        yield (f"~{ADDS}",)
        for n in self._precisions(self._lane_of_bit[bit]):
            yield ("~history.read_current", *kept(n, "history.read_precision"))
