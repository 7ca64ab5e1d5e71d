"""Registers of the platform, as one table: the RTL, the driver and the documentation read it.

Software and hardware take addresses from here; it does not import Amaranth.
"""

import dataclasses
import json
import zlib
from dataclasses import dataclass
from enum import IntEnum

from adq.rtl.platform.descriptors import OPERATIONS
from adq.rtl.platform.parameters import PlatformParameters

__all__ = [
    *("ADDRESS_BITS", "COUNTERS", "FIELDS", "IDENTITY", "MEMORIES", "MEMORY_ALIGNMENT"),
    *("REGISTERS", "VERSION", "Bits", "ErrorCode", "Register", "identity_of", "register_map"),
]

ADDRESS_BITS = 8
"""Bits of the address of a byte of the registers."""

IDENTITY = int.from_bytes(b"ADQP", "little")
"""Value of the register ``identity``."""

VERSION = 1
"""Version of this table, which rises when a register changes its meaning."""

MEMORY_ALIGNMENT = 4096
"""Bytes to which the bases of memories are aligned."""


class ErrorCode(IntEnum):
    """Values of the field ``code`` of the register ``error``."""

    NONE = 0
    """The program ran to its end, or none ran."""
    DESCRIPTOR = 1
    """A field is out of its range, or does not suit the platform."""
    OUTSIDE = 2
    """An access, which a field asks for, ends beyond its memory."""
    READ_SLAVE = 3
    """The bus answered a read with SLVERR."""
    READ_DECODE = 4
    """The bus answered a read with DECERR."""
    WRITE_SLAVE = 5
    """The bus answered a write with SLVERR."""
    WRITE_DECODE = 6
    """The bus answered a write with DECERR."""
    TIMEOUT = 7
    """The bus did not move for the cycles of the register ``timeout``, with accesses under way."""
    ABORTED = 8
    """The host ended the program."""


@dataclass(frozen=True)
class Bits:
    """A field of a register."""

    name: str
    first: int
    count: int
    meaning: str


@dataclass(frozen=True)
class Register:
    """A register of 32 bits.

    ``access`` is ``read``; ``write``: it reads as 0; ``both``; ``clear``: it can be read, and ones
    that are written clear bits.
    """

    name: str
    address: int
    access: str
    meaning: str
    bits: tuple[Bits, ...] = ()
    fixed: int = 0
    """Lowest bits that are always 0."""


MEMORIES = {
    "program": "the program",
    "input": "the images",
    "output": "the results",
}
"""Memories, each with a base and a size, by name."""

COUNTERS = {
    "program": "no layer is prepared or under way, and descriptors are read or checked",
    "copies": "no layer is prepared or under way, and the program waits for a copy, or for writes",
    "settings": "a layer begins or ends: its settings are computed",
    "planes": "the tile takes a plane",
    "bus": "the walker waits for weights, and the tile for the bus",
    "weights": "the walker waits for weights, which the tile loads",
    "results": "no plane is taken for another reason: results are drained",
    "stopping": "the program ends early, and accesses of the bus that are under way come to an end",
}
"""Counters of cycles by name. Exactly one counts in each cycle of a run."""


def _memories() -> list[Register]:
    found = []
    for place, (name, holds) in enumerate(MEMORIES.items()):
        first = 0x20 + 0x10 * place
        found += [
            Register(f"{name}_base_low", first, "both",
                     f"Address of the memory of {holds}, bits 31:0.", fixed=12),
            Register(f"{name}_base_high", first + 4, "both", "Its bits 63:32."),
            Register(f"{name}_size", first + 8, "both",
                     f"Size of the memory of {holds}, in units of 16 bytes."),
        ]  # fmt: skip
    return found


def _counters() -> list[Register]:
    found = []
    rows = {"cycles": "of the run", **{name: f"in which {what}" for name, what in COUNTERS.items()}}
    for place, (name, what) in enumerate(rows.items()):
        first = 0x80 + 8 * place
        found += [
            Register(f"{name}_low", first, "read", f"Cycles {what}, bits 31:0."),
            Register(f"{name}_high", first + 4, "read", "Their bits 63:32."),
        ]
    for name, what in (("read_beats", "reads"), ("write_beats", "writes")):
        first += 8
        found += [
            Register(f"{name}_low", first, "read", f"Beats of the bus of {what}, bits 31:0."),
            Register(f"{name}_high", first + 4, "read", "Their bits 63:32."),
        ]
    return found


_EVENTS = (
    Bits("done", 0, 1, "The program has ended."),
    Bits("error", 1, 1, "The program was stopped."),
)

REGISTERS = (
    Register("identity", 0x00, "read", f"{IDENTITY:#010x}, the letters ADQP."),
    Register("version", 0x04, "read", f"Version of the registers: {VERSION}."),
    Register("platform", 0x08, "read", "CRC-32 of the platform's sizes; the driver compares it."),
    Register("control", 0x0C, "write", "Commands.", (
        Bits("start", 0, 1, "Run the program; ignored while one runs."),
        Bits("abort", 1, 1, "End the program that runs, with an error."),
    )),
    Register("status", 0x10, "read", "State.", (
        Bits("busy", 0, 1, "A program runs, or accesses of the bus are under way."),
        Bits("done", 1, 1, "The last program ran to its end."),
        Bits("error", 2, 1, "The last program was stopped; see ``error``."),
        Bits("descriptor", 16, 13, "Place of the descriptor that is read or carried out."),
    )),
    Register("interrupt_enable", 0x14, "both", "Events that raise the interrupt.", _EVENTS),
    Register("interrupt_status", 0x18, "clear", "Events since they were cleared.", _EVENTS),
    Register("error", 0x1C, "read", "Why the last program was stopped.", (
        Bits("code", 0, 8, "See below."),
        Bits("field", 8, 8, "Number of the field; 0 if none is to blame."),
        Bits("descriptor", 16, 16, "Place of the descriptor in the program."),
    )),
    *_memories(),
    Register("timeout", 0x50, "both",
             "Cycles without a beat after which accesses of the bus have failed; 0: never."),
    *_counters(),
)  # fmt: skip
"""All registers. Addresses are in bytes."""


def _fields() -> tuple[tuple[str, str], ...]:
    found = [("", ""), ("", "operation"), ("", "reserved")]
    for kind in OPERATIONS.values():
        fields = sorted(dataclasses.fields(kind), key=lambda each: each.metadata["at"])
        found += [(kind.__name__, each.name) for each in fields]
    return tuple(found)


FIELDS = _fields()
"""Descriptor and name of every field that ``error`` can name, by number: 1 is the operation, and 2
are bits that belong to no field."""


def identity_of(platform: PlatformParameters) -> int:
    """Return the value of the register ``platform``."""
    return zlib.crc32(json.dumps(dataclasses.asdict(platform), sort_keys=True).encode())


def register_map() -> dict[str, object]:
    """Return the table as JSON has it."""
    return {
        "identity": IDENTITY,
        "version": VERSION,
        "memory_alignment": MEMORY_ALIGNMENT,
        "registers": [dataclasses.asdict(each) for each in REGISTERS],
        "counters": list(COUNTERS),
        "error_codes": {code.name: int(code) for code in ErrorCode},
        "fields": [{"descriptor": kind, "field": name} for kind, name in FIELDS],
    }
