"""Area and timing of a platform: its logic as one netlist, tiles and memories apart."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from adq.rtl.platform.host.platform import Platform
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.plane_tile import PlaneTile
from adq.rtl.verilog import to_rtlil
from adq.verif.liberty.library import Library
from adq.verif.synthesis.synthesis import PERIOD, Synthesis, synthesize

__all__ = ["BLOCKS", "Memory", "PlatformSynthesis", "memories_of", "synthesize_platform"]

_UNIT = r"engine\.unit_\d+_\d+\."
_DRAIN = _UNIT + r"drain_\d+\."

BLOCKS: Mapping[str, str] = {
    "walkers": _UNIT + "walker",
    "aligners": _UNIT + "aligner",
    "shares": _UNIT + "share",
    "accumulator memories": _UNIT + "accumulators_",
    "requantizers": _DRAIN + "requantizer_",
    "parameter memories": _DRAIN + "parameters",
    "orders of results": _DRAIN + "order",
    "skip readers": _DRAIN + "skips",
    "tables": _DRAIN + "table",
    "plane writers": _DRAIN + "writer",
    "stages of the drains": _DRAIN,
    "stack adders": r"engine\.adder_",
    "plane memory": r"engine\.memory",
    "conductor": r"engine\.conductor",
    "engine": r"engine\.",
    "weight path": r"weights",
    "bus": r"(reads|writes|raw_register|raw_writer|store_writer|\w+_channel|\w+_gearbox)",
    "program control": r"(control|load|store)",
    "registers and supervisor": "",
}
"""Regular expressions of the beginnings of nets' names, by block; the first one counts."""

_MODULE = re.compile(r"^module \\\w+\.?(\S*)")
_MEMORY = re.compile(r"^\s*memory width (\d+) size (\d+) \\(\S+)")
_PORT = re.compile(r"^\s*parameter \\MEMID \"\\\\(\S+)\"")
_ADDRESS = re.compile(r"^\s*connect \\ADDR (?!\{  \})(.+)")  # initial words have none
_NUMBER = re.compile(r"\$\d+")


@dataclass(frozen=True)
class Memory:
    """A memory that is left out of the logic."""

    path: str
    words: int
    width: int
    ports: str
    """``1RW`` if its reads and writes have one address, else ``1R1W``."""

    @property
    def bits(self) -> int:
        """Bits that it holds."""
        return self.words * self.width


@dataclass(frozen=True)
class PlatformSynthesis:
    """A platform in the cells of a library.

    Attributes
    ----------
    logic : all but tiles and memories, as one netlist: paths that cross its blocks are whole. Of
        paths into and out of tiles and memories it has the part that lies here.
    tile : one of its tiles
    memories : what is left out
    """

    parameters: PlatformParameters
    logic: Synthesis
    tile: Synthesis
    memories: tuple[Memory, ...]


def synthesize_platform(
    parameters: PlatformParameters, library: Library, *, period: float = PERIOD, cache: Path
) -> PlatformSynthesis:
    """Map a platform's logic, and one of its tiles.

    Raises
    ------
    SynthesisError, TimingError
        As of :func:`adq.verif.synthesis.synthesis.synthesize`.
    """
    p = parameters
    tiles = [
        f"engine.unit_{cluster}_{place}.tile_{column}"
        for cluster in range(p.clusters)
        for place in range(p.stack)
        for column in range(p.tile_columns)
    ]
    logic = synthesize(
        Platform(p),
        library,
        name="platform",
        apart=tiles,
        memories=False,
        blocks=BLOCKS,
        objective="speed",
        period=period,
        cache=cache,
    )
    tile = synthesize(PlaneTile(p.tile), library, name="plane_tile", period=period, cache=cache)
    return PlatformSynthesis(p, logic, tile, tuple(memories_of(to_rtlil(Platform(p), name="top"))))


def memories_of(rtlil: str) -> Iterator[Memory]:
    """Yield the memories of a design but for those of tiles, whose weights are flip-flops."""
    module = port = ""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    addresses: dict[tuple[str, str], set[str]] = {}
    for line in rtlil.splitlines():
        if match := _MODULE.match(line):
            module = _NUMBER.sub("", match[1])
        elif (match := _MEMORY.match(line)) and ".tile_" not in module:
            found[module, match[3]] = int(match[2]), int(match[1])
        elif match := _PORT.match(line):
            port = match[1]
        elif match := _ADDRESS.match(line):
            addresses.setdefault((module, port), set()).add(match[1])
    for (module, name), (words, width) in found.items():
        ports = "1RW" if len(addresses.get((module, name), ())) == 1 else "1R1W"
        yield Memory(f"{module}.{name}", words, width, ports)
