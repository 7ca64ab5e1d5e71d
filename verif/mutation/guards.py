"""What may excuse that a register of a mutant differs from the tile's."""

import re
from collections.abc import Iterable

from rtl.parameters import TileParameters
from verif.mutation.registers import (
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
        meant = [f"~{VALID}", *([f"~{WRITES}"] if p.partial_sums else ())]
        collector = r"shift_add\.collector\."
        result = rf"{collector}result_register\."
        self.alone: list[tuple[str, list[Clause]]] = [
            *(
                (rf"{result}low_{place}\[", [*self._low_bit(place, meant)])
                for place in range(p.max_activation_bits - 1)
            ),
            (rf"{result}total_", [*self._total(meant)]),
            *(
                (rf"{collector}partial_sums\.memory\[{entry}\]", [*_sum(p, current, precision)])
                for entry in range(p.partial_sums)
                for current, precision in [
                    (f"history.current[{entry}]", f"history.precision_{entry}")
                ]
            ),
            (
                rf"{collector}sums\[",
                [(f"~{ADDS}",), *_sum(p, "history.read_current", "history.read_precision")],
            ),
            (r"shift_add\.(accumulator_|fuser\.|sum_)", [*self._accumulators()]),
        ]

    @property
    def all(self) -> list[Clause]:
        """Without those that come twice."""
        several = (self.everywhere, *(clauses for _, clauses in self.alone))
        return [*dict.fromkeys(clause for clauses in several for clause in clauses)]

    def of(self, names: Iterable[str]) -> list[Clause] | None:
        """Those of a register by its names; nothing where any may excuse it."""
        for pattern, clauses in self.alone:
            if any(re.match(pattern, name) for name in names):
                return clauses
        return None

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
        for plane in range(p.max_activation_bits):
            for clause in at_most(activation_bits(), plane):
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

    def _total(self, meant: list[str]) -> Iterable[Clause]:
        """No sum is put together, to be a result or to be written back, or of other precision."""
        for mark in meant:
            yield (mark,)
            for n in self.parameters.weight_widths:
                yield (mark, *held(n))

    def _low_bit(self, place: int, meant: list[str]) -> Iterable[Clause]:
        """Nor one to which this place belongs; and no plane comes to a sum of which it is."""
        p = self.parameters
        last = at_most(index_bits(LAST_INDEX), place)
        counted = at_most(index_bits(COUNTED), place)
        for total in self._total(meant):
            for clause in last:
                yield (*total, *clause)
        for n, precision in enumerate(p.weight_widths):
            tag = PLANE if precision in p.direct_widths else WAITING
            for clause in counted:
                yield (f"~{tag}.valid", f"{tag}.first", f"~{weight_bits(tag)[n]}", *clause)


def _sum(p: TileParameters, current: str, precision: str) -> Iterable[Clause]:
    """A sum in the partial sum buffer, or read from it, is not of the job in progress, or of other
    precision.
    """
    yield (f"~{current}",)
    for n in p.weight_widths:
        yield (f"~{current}", *kept(n, precision))
