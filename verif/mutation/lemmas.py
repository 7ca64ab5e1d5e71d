"""What holds in every state that a tile can reach: lemmas, each a clause over its registers.

Together they are inductive: where all of them hold, they do in the next cycle, whatever comes on
the ports, and they hold where all registers have their initial values. That is proved anew of the
tile that is compared (:mod:`verif.mutation.induction`); none is an assumption.
"""

from itertools import combinations

from rtl.interface import Status
from rtl.parameters import TileParameters

__all__ = ["Clause", "guards", "lemmas"]

Clause = tuple[str, ...]
"""Bits of registers by name, ``~`` before those that are low: at least one of them."""

SEQUENCER = "sequencer"
PLANE = "plane_tag"
WAITING = "shift_add.waiting_tag"
SUMMED = "shift_add.summed_tag"
ARRAY = "weight_array"
FIRST = "feeder.first"
"""Low within a vector: between two planes of it."""

HELD = "shift_add.collector.result_register.held_segments"
RESULT = "results__payload.status"


def bits(name: str, count: int) -> list[str]:
    """Bits of a register."""
    return [f"{name}[{bit}]" for bit in range(count)]


def differs(register: list[str], value: int) -> Clause:
    """A register has not this value."""
    return tuple(("~" if value >> bit & 1 else "") + name for bit, name in enumerate(register))


def equal(left: str, right: str, *unless: str) -> list[Clause]:
    """Two bits are the same, unless one of some holds."""
    return [(*unless, left, f"~{right}"), (*unless, f"~{left}", right)]


def status(stage: str) -> list[str]:
    """Bits that are all low where a job is not malformed."""
    return bits(f"{stage}.status", Status.as_shape().width)


def weight_bits(stage: str) -> list[str]:
    """One-hot."""
    return bits(f"{stage}.weight_bits", len(TileParameters.weight_widths))


def segments(stage: str) -> list[str]:
    """Of an accumulator that are live."""
    return bits(f"{stage}.segments", 4)


def stages_of_pipeline(p: TileParameters) -> tuple[str, ...]:
    """Tags behind the sequencer."""
    return (PLANE, WAITING, SUMMED) if p.partial_sums else (PLANE, WAITING)


def lemmas(p: TileParameters) -> dict[str, list[Clause]]:
    """By name, clauses of a tile."""
    tags = stages_of_pipeline(p)
    stages = (SEQUENCER, *tags)
    shared = (*weight_bits(""), *segments(""))  # by all planes of a vector
    indices = range((p.vectors - 1).bit_length())
    return {
        "a job has at most one precision, and none if it is malformed": [
            clause
            for stage in stages
            for clause in (
                *((f"~{a}", f"~{b}") for a, b in combinations(weight_bits(stage), 2)),
                *((f"~{a}", f"~{b}") for a in status(stage) for b in weight_bits(stage)),
            )
        ],
        "a job has a precision, or is malformed": [
            *((f"~{tag}.valid", *status(tag), *weight_bits(tag)) for tag in tags),
            (f"~{SEQUENCER}.active", *status(SEQUENCER), *weight_bits(SEQUENCER)),
            (
                f"~{SEQUENCER}.active",
                *status(SEQUENCER),
                *bits(f"{SEQUENCER}.activation_bits", p.max_activation_bits.bit_length()),
            ),
        ],
        "segments are those that the precision can reach": [
            (f"~{precision}", *differs(segments(stage), count))
            for stage in stages
            for n, precision in zip(p.weight_widths, weight_bits(stage), strict=True)
            for count in {*range(16)} - {*range(1, p.segments(p.vector_width(n)) + 1)}
        ],
        "the tag of a malformed job is its only one, and zero": [
            *(
                (f"~{bit}", f"{tag}.{mark}")
                for tag in tags
                for bit in status(tag)
                for mark in ("first_block", "last_block", *(["first"] if tag != SUMMED else []))
            ),
            *(
                (f"~{tag}.valid", f"~{bit}", f"{tag}.zero")
                for tag in (PLANE, WAITING)
                for bit in status(tag)
            ),
        ],
        "a vector is of a job that is well formed and goes on": [
            (FIRST, "feeder.loaded"),
            (FIRST, f"{SEQUENCER}.active"),
            ("~feeder.loaded", f"{SEQUENCER}.active"),
            *(("~feeder.loaded", f"~{bit}") for bit in status(SEQUENCER)),
            *((FIRST, f"~{bit}") for bit in status(PLANE)),
        ],
        "sums of 2-bit weights do not wait, and meet none that do": [
            (f"~{WAITING}.weight_bits[0]",),
            (f"~{WAITING}.valid", f"~{PLANE}.valid", f"~{PLANE}.weight_bits[0]"),
            (
                f"~{PLANE}.valid",
                f"{PLANE}.weight_bits[0]",
                f"~{SEQUENCER}.weight_bits[0]",
                "~feeder.loaded",
            ),
            (FIRST, f"{PLANE}.valid", f"~{PLANE}.weight_bits[0]", f"~{WAITING}.valid"),
        ],
        "planes of a vector share what their tags say of it": [
            *equal(f"{PLANE}.bank", f"{SEQUENCER}.bank", FIRST),
            *(
                clause
                for field in shared
                for later, earlier, unless in (
                    (PLANE, SEQUENCER, (FIRST,)),
                    (WAITING, PLANE, (f"{PLANE}.first", f"{PLANE}.weight_bits[0]")),
                    (WAITING, PLANE, (FIRST, f"{PLANE}.valid", f"{PLANE}.weight_bits[0]")),
                    (SUMMED, WAITING, (f"~{WAITING}.valid", f"{WAITING}.first")),
                    (SUMMED, PLANE, (f"{PLANE}.first", f"~{PLANE}.valid", f"{WAITING}.valid")),
                    (SUMMED, SEQUENCER, (FIRST, f"{PLANE}.valid", f"{WAITING}.valid")),
                )
                if p.partial_sums or later != SUMMED
                for clause in equal(later + field, earlier + field, *unless)
            ),
            *(
                clause
                for bit in indices
                for clause in equal(
                    f"{SEQUENCER}.$like[{bit}]",  # the vector's index
                    f"{SEQUENCER}.last_vector_index[{bit}]",
                    FIRST,
                    f"~{PLANE}.last_vector",
                )
            ),
        ],
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
        ],
    }


def guards(p: TileParameters) -> list[Clause]:
    """Situations in which a register may not matter, as clauses that hold there: where nothing is
    said of a stage, where its job is malformed or of another precision, where a segment is not
    live, where a bank does not compute. Which of them excuse a difference is found out.
    """
    tags = stages_of_pipeline(p)
    singles = [
        f"{SEQUENCER}.active",
        *(bit for stage in (SEQUENCER, *tags) for bit in (*status(stage), *weight_bits(stage))),
        *(f"{tag}.{mark}" for tag in tags for mark in ("valid", "last")),
        *(f"{tag}.{mark}" for tag in (PLANE, WAITING) for mark in ("zero", "first")),
        *bits(RESULT, 3),
        *bits(f"{ARRAY}.full", p.banks),
        f"{ARRAY}.beat_valid",
        f"{ARRAY}.beat_bank",
        FIRST,
        "feeder.loaded",
        "results__valid",
    ]
    found = [(low + single,) for single in singles for low in ("", "~")]
    found += [tuple(status(stage)) for stage in (SEQUENCER, *tags)] + [tuple(bits(RESULT, 3))]
    for tag in tags:
        for precision in weight_bits(tag):
            other = f"~{precision}"
            found.append((f"~{tag}.valid", other))
            found += [(*differs(segments(tag), count), other) for count in range(10)]
            if tag != SUMMED:
                found += [(other, f"{tag}.zero"), (f"~{tag}.valid", other, f"{tag}.zero")]
        if tag != SUMMED:
            found.append((f"~{tag}.valid", f"{tag}.zero"))
        found += [differs(segments(tag), count) for count in range(10)]
    return found + [differs(bits(HELD, 4), count) for count in range(10)]
