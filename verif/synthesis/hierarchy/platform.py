"""Area and timing of a platform, memories apart."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from adq.rtl.platform.accumulator_memory import AccumulatorMemory
from adq.rtl.platform.grid.unit import Unit
from adq.rtl.platform.host.platform import Platform
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.plane_tile import PlaneTile
from adq.rtl.platform.planes.plane_memory import PlaneMemory
from adq.rtl.platform.results.drain import Drain
from adq.verif.liberty.library import Library
from adq.verif.synthesis.hierarchy.hierarchy import Hierarchy, synthesize_parts
from adq.verif.synthesis.hierarchy.parts import Part, cut
from adq.verif.synthesis.synthesis import PERIOD

__all__ = ["BLOCKS", "PARTS", "Memory", "PlatformSynthesis", "memories_of", "synthesize_platform"]

_UNIT = r"engine\.unit_\d+_\d+\."
_DRAIN = _UNIT + r"drain_\d+\."

BLOCKS: Mapping[str, str] = {
    "tiles": _UNIT + "tile_",
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


PARTS = (PlaneMemory, Unit, PlaneTile, AccumulatorMemory, Drain)
"""Components that are mapped by themselves, each different one once."""


@dataclass(frozen=True)
class PlatformSynthesis:
    """A platform in the cells of a library, memories apart.

    Attributes
    ----------
    logic : all but its memories
    memories : what is left out; of paths into and out of them only the part in the logic is timed
    """

    parameters: PlatformParameters
    logic: Hierarchy
    memories: tuple[Memory, ...]


def synthesize_platform(
    parameters: PlatformParameters,
    library: Library,
    *,
    period: float = PERIOD,
    cache: Path,
    progress: Callable[[str], object] = lambda step: None,
) -> PlatformSynthesis:
    """Map a platform, memories apart.

    Parameters
    ----------
    progress
        Called with what is done next.

    Raises
    ------
    SynthesisError, TimingError
        As of :func:`adq.verif.synthesis.synthesis.synthesize`.
    """
    progress("elaborating")
    whole = cut(Platform(parameters), PARTS, name="platform")
    # A tile is mapped as it is alone. In a part that is mapped for area, every path may take as
    # long as the longest one.
    logic = synthesize_parts(
        whole,
        library,
        blocks=BLOCKS,
        objectives={"plane_tile": "area"},
        period=period,
        cache=cache,
        progress=progress,
    )
    return PlatformSynthesis(parameters, logic, tuple(memories_of(whole)))


def memories_of(whole: Part) -> Iterator[Memory]:
    """Yield the memories of a platform."""
    for path, part in whole.places():
        if part.name != "plane_tile":  # its weights are flip-flops
            for memory in _memories(part.source):
                yield replace(memory, path=f"{path}.{memory.path}" if path else memory.path)


def _memories(rtlil: str) -> Iterator[Memory]:
    """Yield the memories of a design."""
    module = port = ""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    addresses: dict[tuple[str, str], set[str]] = {}
    for line in rtlil.splitlines():
        if match := _MODULE.match(line):
            module = _NUMBER.sub("", match[1])
        elif match := _MEMORY.match(line):
            found[module, match[3]] = int(match[2]), int(match[1])
        elif match := _PORT.match(line):
            port = match[1]
        elif match := _ADDRESS.match(line):
            addresses.setdefault((module, port), set()).add(match[1])
    for (module, name), (words, width) in found.items():
        ports = "1RW" if len(addresses.get((module, name), ())) == 1 else "1R1W"
        yield Memory(f"{module}.{name}" if module else name, words, width, ports)
