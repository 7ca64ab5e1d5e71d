"""Energy of SRAM at 45 nm, from a table that CACTI made."""

import functools
import json
from dataclasses import dataclass
from pathlib import Path

from adq.energy.coefficients import EnergyError

__all__ = ["Sram", "nearest_sram", "sram_of", "sram_table"]

FILE = Path(__file__).with_name("sram_45nm.json")
"""Figures, and the configuration that gives them again."""


@dataclass(frozen=True)
class Sram:
    """A memory.

    Attributes
    ----------
    bytes : capacity
    width : bits of a word
    ports : ``1RW``, or ``1R1W``: a word is read and another written in one cycle
    read_pj, write_pj : energy of a word
    leakage_mw, access_ns, area_um2
    """

    bytes: int
    width: int
    ports: str
    read_pj: float
    write_pj: float
    leakage_mw: float
    access_ns: float
    area_um2: float

    @property
    def words(self) -> int:
        """Words that it holds."""
        return self.bytes * 8 // self.width

    @property
    def pj_per_bit(self) -> float:
        """Energy of reading and writing a word, over its bits."""
        return (self.read_pj + self.write_pj) / self.width

    @property
    def um2_per_bit(self) -> float:
        """Area over capacity."""
        return self.area_um2 / (8 * self.bytes)


@functools.cache
def sram_table() -> tuple[Sram, ...]:
    """Return all memories of the table.

    Raises
    ------
    EnergyError
        If the table is damaged.
    """
    try:
        content = json.loads(FILE.read_text(encoding="utf-8"))
        return tuple(Sram(**memory) for memory in content["memories"])
    except (ValueError, KeyError, TypeError) as error:
        raise EnergyError(f"{FILE}: holds no table of memories: {error}") from None


def nearest_sram(words: int, *, ports: str, width: int | None = None) -> Sram:
    """Return the memory whose number of words is nearest, of these the one whose width is nearest.

    Parameters
    ----------
    width
        Bits of a word. Default: of the memories with the nearest number of words, the one that
        takes least energy a bit.

    Raises
    ------
    EnergyError
        If none has such ports.
    """
    found = [memory for memory in sram_table() if memory.ports == ports]
    if not found:
        known = ", ".join(dict.fromkeys(memory.ports for memory in sram_table()))
        raise EnergyError(f"{FILE}: no memory has ports {ports}: it must be one of {known}")

    def distance(memory: Sram) -> tuple[float, float]:
        apart = _ratio(memory.words, words)
        return apart, memory.pj_per_bit if width is None else _ratio(memory.width, width)

    return min(found, key=distance)


def _ratio(one: int, other: int) -> float:
    return max(one / other, other / one)


def sram_of(size: int, width: int, *, ports: str) -> Sram:
    """Return the memory of so many bytes, in words of so many bits.

    Raises
    ------
    EnergyError
        If the table has no such memory.
    """
    for memory in sram_table():
        if (memory.bytes, memory.width, memory.ports) == (size, width, ports):
            return memory
    raise EnergyError(f"{FILE}: has no memory of {size} bytes, {width} bits a word, {ports}")
