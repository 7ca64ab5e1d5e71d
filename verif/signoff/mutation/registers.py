"""Registers of the flat tile by name, and clauses over their bits."""

from adq.rtl.interface import Status
from adq.rtl.parameters import TileParameters

__all__ = [
    "ADDS",
    "ARRAY",
    "COUNTED",
    "HELD",
    "INDEX",
    "LAST_INDEX",
    "LOADED",
    "PLANE",
    "READ_ENTRY",
    "RESULT",
    "SEQUENCER",
    "TAGS",
    "VALID",
    "VECTOR",
    "WAITING",
    "WRITES",
    "WRITES_LAST",
    "WRITE_ENTRY",
    "Clause",
    "activation_bits",
    "at_most",
    "bits",
    "differs",
    "equal",
    "equals",
    "held",
    "index_bits",
    "inverse",
    "kept",
    "narrow",
    "status",
    "weight_bits",
    "within",
]

Clause = tuple[str, ...]
"""Bits of registers by name, ``~`` before those that are low: at least one of them."""

SEQUENCER = "sequencer"
VECTOR = f"{SEQUENCER}.vector"
"""The vector's index."""

PLANE = "plane_tag"
WAITING = "shift_add.waiting_tag"
TAGS = (PLANE, WAITING)
"""Of the stages behind the sequencer."""

ARRAY = "weight_array"
LOADED = "feeder.loaded"
COUNTED = "shift_add.counted"
"""The number of a vector's next plane in the shift-add."""

LAST_INDEX = "shift_add.collector.result_register.last_index"
HELD = "shift_add.collector.result_register.weight_bits"
"""Precision of the sum that is put together. Nothing reads the lowest bit: it is not there."""

VALID = "results__valid"
RESULT = "results__payload"
WRITES = "shift_add.collector.writes"
WRITES_LAST = "shift_add.collector.last_vector"
READ_ENTRY = "shift_add.collector.partial_sums.read_entry"
WRITE_ENTRY = "shift_add.collector.partial_sums.write_entry"
ADDS = "shift_add.collector.adds"


def bits(name: str, count: int) -> list[str]:
    """Bits of a register."""
    return [f"{name}[{bit}]" for bit in range(count)]


def inverse(name: str) -> str:
    """Of a bit."""
    return name.removeprefix("~") if name.startswith("~") else f"~{name}"


def differs(register: list[str], value: int) -> Clause:
    """A register has not this value."""
    return tuple(("~" if value >> bit & 1 else "") + name for bit, name in enumerate(register))


def equals(register: list[str], value: int, *unless: str) -> list[Clause]:
    """A register has this value, unless one of some holds."""
    return [(*unless, inverse(bit)) for bit in differs(register, value)]


def at_most(register: list[str], value: int) -> list[Clause]:
    """A register is no more than this: none of the numbers above it, by the highest bit in which
    they differ from it.
    """
    return [
        (f"~{name}", *differs(register[bit + 1 :], value >> bit + 1))
        for bit, name in enumerate(register)
        if not value >> bit & 1
    ]


def equal(left: str, right: str, *unless: str) -> list[Clause]:
    """Two bits are the same, unless one of some holds."""
    return [(*unless, left, f"~{right}"), (*unless, f"~{left}", right)]


def status(stage: str) -> list[str]:
    """Bits that are all low where a job is not malformed."""
    return bits(f"{stage}.status", Status.as_shape().width)


def weight_bits(stage: str) -> list[str]:
    """One-hot."""
    return bits(f"{stage}.weight_bits", len(TileParameters.weight_widths))


def narrow(p: TileParameters, stage: str) -> list[str]:
    """Bits of the precisions whose sums do not wait."""
    return [weight_bits(stage)[p.weight_widths.index(n)] for n in p.direct_widths]


def held(precision: int) -> Clause:
    """The sum that is put together is not of this precision."""
    return _not_of(precision, bits(HELD, len(TileParameters.weight_widths))[1:])


def kept(precision: int, place: str) -> Clause:
    """A sum in the partial sum buffer is not of this precision; ``place`` is its register in
    :class:`adq.verif.signoff.mutation.partial_sums.PartialSumHistory`.
    """
    return _not_of(precision, bits(place, len(TileParameters.weight_widths) - 1))


def _not_of(precision: int, others: list[str]) -> Clause:
    """By bits of all precisions but the lowest."""
    place = TileParameters.weight_widths.index(precision)
    return (f"~{others[place - 1]}",) if place else tuple(others)


def index_bits(name: str) -> list[str]:
    """The number of a plane."""
    return bits(name, (TileParameters.max_activation_bits - 1).bit_length())


def activation_bits() -> list[str]:
    """Of the job in progress."""
    return bits(f"{SEQUENCER}.activation_bits", TileParameters.max_activation_bits.bit_length())


INDEX = index_bits("feeder.index")


def within(*clause: str) -> list[Clause]:
    """Between two planes of a vector: where the next one is not the lowest."""
    return [(f"~{bit}", *clause) for bit in INDEX]
