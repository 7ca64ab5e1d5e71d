"""What holds in every state that a tile can reach: lemmas, each a clause over its registers.

Together they are inductive: where all of them hold, they do in the next cycle, whatever comes on
the ports, and they hold where all registers have their initial values. That is proved anew of the
tile that is compared (:mod:`adq.verif.signoff.mutation.induction`); none is an assumption.
"""

from collections.abc import Iterable
from itertools import combinations, product

from adq.rtl.interface import job_layout
from adq.rtl.parameters import TileParameters
from adq.verif.signoff.mutation.registers import (
    ARRAY,
    COUNTED,
    HELD,
    INDEX,
    LOADED,
    PLANE,
    RESULT,
    SEQUENCER,
    TAGS,
    VALID,
    VECTOR,
    WAITING,
    Clause,
    activation_bits,
    at_most,
    bits,
    differs,
    equal,
    equals,
    held,
    index_bits,
    inverse,
    narrow,
    status,
    weight_bits,
    within,
)

__all__ = ["ORDER_OF_JOBS", "lemmas"]

ORDER_OF_JOBS = "a stage works on the job that is as old as those that end before it are many"
"""The lemma that says what the lanes of a result mean. It has many clauses."""


def lemmas(p: TileParameters) -> dict[str, list[Clause]]:
    """By name, clauses of a tile."""
    stages = (SEQUENCER, *TAGS)
    held_bits = bits(HELD, len(p.weight_widths))[1:]
    return {
        "a job has at most one precision, and none if it is malformed": [
            *(
                clause
                for stage in stages
                for clause in (
                    *((f"~{a}", f"~{b}") for a, b in combinations(weight_bits(stage), 2)),
                    *((f"~{a}", f"~{b}") for a in status(stage) for b in weight_bits(stage)),
                )
            ),
            *((f"~{a}", f"~{b}") for a, b in combinations(held_bits, 2)),
            *((f"~{VALID}", f"~{a}", f"~{b}") for a in status(RESULT) for b in held_bits),
        ],
        "a job has a precision, or is malformed": [
            *((f"~{tag}.valid", *status(tag), *weight_bits(tag)) for tag in TAGS),
            (f"~{SEQUENCER}.active", *status(SEQUENCER), *weight_bits(SEQUENCER)),
            (f"~{SEQUENCER}.active", *status(SEQUENCER), *activation_bits()),
            *(
                (f"~{SEQUENCER}.active", *status(SEQUENCER), *clause)
                for clause in at_most(activation_bits(), p.max_activation_bits)
            ),
        ],
        "the tag of a malformed job is its only one, and zero": [
            *(
                (f"~{bit}", f"{tag}.{mark}")
                for tag in TAGS
                for bit in status(tag)
                for mark in ("first_block", "last_block", "first")
            ),
            *(
                (f"~{tag}.valid", f"~{bit}", f"{tag}.{mark}")
                for tag in TAGS
                for bit in status(tag)
                for mark in ("zero", "last")
            ),
        ],
        "a vector is of a job that is well formed and goes on": [
            *within(LOADED),
            (f"~{LOADED}", f"{SEQUENCER}.active"),
            *((f"~{LOADED}", f"~{bit}") for bit in status(SEQUENCER)),
            *(clause for bit in status(PLANE) for clause in within(f"~{bit}")),
        ],
        "planes of a vector follow each other without a gap": [
            *within(f"{SEQUENCER}.bank", f"{ARRAY}.full[0]"),
            *within(f"~{SEQUENCER}.bank", f"{ARRAY}.full[1]"),
            *within(f"{PLANE}.valid"),
            *within(f"~{PLANE}.last"),
            (f"~{PLANE}.valid", f"{PLANE}.last", *INDEX),
            *(
                (f"~{WAITING}.valid", f"{WAITING}.last", mark)
                for mark in (
                    *(f"{PLANE}.valid", f"~{PLANE}.first"),
                    *(f"~{bit}" for bit in narrow(p, PLANE)),
                )
            ),
            (
                *(f"~{PLANE}.valid", f"{PLANE}.first", *narrow(p, PLANE)),
                f"{WAITING}.valid",
            ),
            (
                *(f"~{PLANE}.valid", f"{PLANE}.first", *narrow(p, PLANE)),
                f"~{WAITING}.last",
            ),
        ],
        "while a result waits, planes that come to accumulators are the first of their vectors": [
            (f"~{VALID}", f"~{WAITING}.valid", f"{WAITING}.first"),
            *(
                (f"~{VALID}", f"~{PLANE}.valid", f"~{bit}", f"{PLANE}.first")
                for bit in narrow(p, PLANE)
            ),
        ],
        "a plane that is not the last has one with a bit set above it": [
            (
                *differs(INDEX, index),
                *differs(activation_bits(), count),
                *(
                    f"feeder.vector_{bit}[{row}]"
                    for bit in range(index, count)
                    for row in range(p.rows)
                ),
            )
            for index in range(1, p.max_activation_bits)
            for count in range(1, p.max_activation_bits + 1)
        ],
        "planes are numbered alike in all stages": [
            clause for index in range(1, p.max_activation_bits) for clause in _numbers(p, index)
        ],
        "sums of narrow weights do not wait, and meet none that do": [
            *((f"~{bit}",) for bit in narrow(p, WAITING)),
            *((f"~{WAITING}.valid", f"~{bit}") for bit in narrow(p, PLANE)),
            *(
                (f"~{PLANE}.valid", *narrow(p, PLANE), f"~{bit}", f"~{LOADED}")
                for bit in narrow(p, SEQUENCER)
            ),
        ],
        "planes of a vector share what their tags say of it": [
            *(
                clause
                for same in equal(f"{PLANE}.bank", f"{SEQUENCER}.bank")
                for clause in within(*same)
            ),
            *(
                clause
                for bit in range(len(p.weight_widths))
                for same in equal(weight_bits(PLANE)[bit], weight_bits(SEQUENCER)[bit])
                for clause in within(*same)
            ),
            *(
                clause
                for field in (
                    *weight_bits(""),
                    *status(""),
                    ".first_block",
                    ".last_block",
                    ".last_vector",
                )
                for clause in equal(
                    WAITING + field, PLANE + field, f"{PLANE}.first", *narrow(p, PLANE)
                )
            ),
            *_in_first_block(p),
            *_same_vector(p, f"{PLANE}.last_vector", VECTOR, "last_vector_index", p.vectors),
            *_same_vector(
                p, f"{PLANE}.last_block", f"{SEQUENCER}.block", "last_block_index", p.row_blocks
            ),
        ],
        ORDER_OF_JOBS: _jobs(p),
        "a bank computes only while it is full, and loads only while it is not": [
            *(
                (f"{ARRAY}.full[{bank}]", f"{ARRAY}.row_lines_{bank}[{row}]")
                for bank in range(p.banks)
                for row in range(p.rows)
            ),
            (f"~{ARRAY}.full[0]", f"~{ARRAY}.beat_valid", f"{ARRAY}.beat_bank"),
            (f"~{ARRAY}.full[1]", f"~{ARRAY}.beat_valid", f"~{ARRAY}.beat_bank"),
            *(
                (
                    *(f"~{PLANE}.{mark}" for mark in ("valid", "last", "last_vector")),
                    f"{low}{PLANE}.bank",
                    f"{low}{SEQUENCER}.bank",
                )
                for low in ("", "~")
            ),
            # Row lines are inverted: those of a bank are up until its last plane has been counted.
            *(
                (f"{ARRAY}.row_lines_{bank}[{row}]", f"{low}{SEQUENCER}.bank", mark)
                for bank, low in enumerate(("~", "")[: p.banks])
                for row in range(p.rows)
                for mark in (
                    *(f"{PLANE}.{mark}" for mark in ("valid", "last", "last_vector")),
                    f"{low}{PLANE}.bank",
                )
            ),
        ],
    }


def _numbers(p: TileParameters, index: int) -> Iterable[Clause]:
    """What the next plane's being of this number says of the planes before it."""
    here = differs(INDEX, index)
    direct = narrow(p, PLANE)
    yield (*here, f"{PLANE}.first" if index == 1 else f"~{PLANE}.first")
    if index > 1:
        yield (*here, *direct, f"{WAITING}.first" if index == 2 else f"~{WAITING}.first")
        for bit in direct:
            yield from equals(index_bits(COUNTED), index - 1, *here, f"~{bit}")
    if index > 2:
        yield from equals(index_bits(COUNTED), index - 2, *here, *direct)
    if index == p.max_activation_bits - 1:
        # The highest plane is the last, and the one before it is followed by the last.
        counted = differs(index_bits(COUNTED), index)
        for bit in direct:
            yield (f"~{PLANE}.valid", f"{PLANE}.first", f"~{bit}", *counted, f"{PLANE}.last")
        yield (f"~{WAITING}.valid", f"{WAITING}.first", *counted, f"{WAITING}.last")
        before = differs(index_bits(COUNTED), index - 1)
        yield (
            *(f"~{WAITING}.valid", f"{WAITING}.first", f"{WAITING}.last"),
            *(*before, f"{PLANE}.last"),
        )


def _same_vector(
    p: TileParameters, mark: str, count: str, last: str, most: int
) -> Iterable[Clause]:
    """The sequencer's count is at the last one within a vector if the mark says so, and only
    then.
    """
    counts, lasts = (bits(name, (most - 1).bit_length()) for name in (count, f"{SEQUENCER}.{last}"))
    for pair in zip(counts, lasts, strict=True):
        for same in equal(*pair):
            yield from within(f"~{mark}", *same)
    for value in range(2 ** len(counts)):
        yield from within(mark, *differs(counts, value), *differs(lasts, value))


def _in_first_block(p: TileParameters) -> Iterable[Clause]:
    """The sequencer's block is the first within a vector if the tag says so, and only then."""
    block = bits(f"{SEQUENCER}.block", (p.row_blocks - 1).bit_length())
    yield from within(f"{PLANE}.first_block", *block)
    for bit in block:
        yield from within(f"~{PLANE}.first_block", f"~{bit}")


def _jobs(p: TileParameters) -> list[Clause]:
    """Jobs end in their order: which of those inside each stage works on, and how many there are.
    The comparison keeps their precisions, the oldest first.
    """
    ends = [
        (f"{tag}.valid", f"{tag}.last", f"{tag}.last_block", f"{tag}.last_vector") for tag in TAGS
    ]
    malformed = [[(f"{tag}.valid", bit) for bit in status(tag)] for tag in TAGS]
    # Of each stage, from the oldest: situations, and whether a job ends in them.
    situations = [[((VALID, f"{RESULT}.last"), 1), ((f"~{VALID}",), 0), ((f"~{RESULT}.last",), 0)]]
    for tag, end, other in reversed(list(zip(TAGS, ends, malformed, strict=True))):
        situations.append(
            [
                (end, 1),
                *((cube, 1) for cube in other),
                ((f"~{tag}.valid",), 0),
                *(((inverse(mark), *(inverse(bit) for bit in status(tag))), 0) for mark in end[1:]),
            ]
        )
    width = job_layout(p)["weight_bits"].shape.width
    found = []

    def precision_of(place, *unless, selected):
        for n, bit in zip(p.weight_widths, selected, strict=True):
            found.extend(equals(bits(f"precision_{place}", width), n, *unless, bit))

    for stage, before in ((WAITING, 1), (PLANE, 2), (SEQUENCER, 3)):
        there = f"~{stage}.valid" if stage != SEQUENCER else f"~{stage}.active"
        selected = [f"~{bit}" for bit in weight_bits(stage)]
        for combination in product(*situations[:before]):
            unless = [inverse(bit) for cube, _ in combination for bit in cube]
            place = sum(ended for _, ended in combination)
            precision_of(place, there, *unless, selected=selected)
            if stage == SEQUENCER:
                for active in (0, 1):
                    mark = f"~{SEQUENCER}.active" if active else f"{SEQUENCER}.active"
                    found.extend(equals(bits("inside", 4), place + active, mark, *unless))
    # A stage whose job does not end in it is followed by more of that job.
    marks = (VALID, f"{WAITING}.valid", f"{PLANE}.valid")
    for first, mark in enumerate(marks):
        go_on = [[cube for cube, ended in some if not ended] for some in situations[first:]]
        for combination in product(*go_on):
            unless = dict.fromkeys(inverse(bit) for cube in combination for bit in cube)
            if mark not in unless:
                found.append(tuple(dict.fromkeys((f"~{mark}", *unless, f"{SEQUENCER}.active"))))
    for n in p.weight_widths:
        unless = (f"~{VALID}", *status(RESULT), *held(n))
        found.extend(equals(bits("precision_0", width), n, *unless))
    return found
