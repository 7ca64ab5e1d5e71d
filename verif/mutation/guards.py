"""What may excuse that a register of a mutant differs from the tile's."""

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
    status,
    weight_bits,
)

__all__ = ["guards"]


def guards(p: TileParameters) -> list[Clause]:
    """Situations in which a register may not matter, as clauses that hold there: where nothing is
    said of a stage, where its job is malformed or of another precision, where a place is not below
    the last plane, where a bank does not compute. Which of them excuse a difference is found out.
    """
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
    found = [(low + single,) for single in singles for low in ("", "~")]
    found += [tuple(status(stage)) for stage in (SEQUENCER, *TAGS)] + [tuple(status(RESULT))]
    found.append(tuple(INDEX))
    for tag in TAGS:
        for precision in weight_bits(tag):
            other = f"~{precision}"
            found.append((f"~{tag}.valid", other))
            found += [(other, f"{tag}.zero"), (f"~{tag}.valid", other, f"{tag}.zero")]
            found += [(f"~{tag}.valid", f"{tag}.first", other)]
        found += [(f"~{tag}.valid", f"{tag}.{mark}") for mark in ("zero", "first")]
    places = range(p.max_activation_bits - 1)

    def above(register):
        return dict.fromkeys(c for place in places for c in at_most(index_bits(register), place))

    # A sum that is put together, to be a result or to be written back, from places below the last.
    for meant in (f"~{VALID}", *((f"~{WRITES}", f"~{ADDS}") if p.partial_sums else ())):
        found += [(meant, *held(n)) for n in p.weight_widths]
        if meant != f"~{ADDS}":
            found += [(meant, *clause) for clause in above(LAST_INDEX)]
            found += [
                (meant, *held(n), *clause) for n in p.weight_widths for clause in above(LAST_INDEX)
            ]
    # One that planes still come to, from places before them.
    for n, precision in enumerate(p.weight_widths):
        tag = PLANE if precision in p.direct_widths else WAITING
        unless = (f"~{tag}.valid", f"{tag}.first", f"~{weight_bits(tag)[n]}")
        found += [(*unless, *clause) for clause in above(COUNTED)]
    planes = range(p.max_activation_bits)
    found += dict.fromkeys(
        (f"~{LOADED}", *clause) for plane in planes for clause in at_most(activation_bits(), plane)
    )
    return found
