"""Coefficients of the platform's blocks: energy of an access, fitted to the gate level."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adq.energy.coefficients import Coefficients, EnergyError
from adq.rtl.platform.accumulator_memory import AccumulatorMemory
from adq.rtl.platform.conductor.conductor import Conductor
from adq.rtl.platform.grid.stack_adder import StackAdder
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.planes.plane_aligner import PlaneAligner
from adq.rtl.platform.planes.plane_memory import PlaneMemory
from adq.rtl.platform.planes.plane_writer import PlaneWriter
from adq.rtl.platform.planes.walker import Walker
from adq.rtl.platform.results.drain import Drain
from adq.rtl.platform.results.parameter_memory import ParameterMemory
from adq.rtl.platform.results.requantizer import Requantizer
from adq.rtl.platform.results.result_order import ResultOrder
from adq.rtl.platform.results.skip_reader import SkipReader
from adq.rtl.platform.results.table import Table
from adq.rtl.port_types import Component
from adq.rtl.verilog import ELABORATION, to_rtlil
from adq.verif.simulation.rtl_revision import numbered

__all__ = ["BLOCKS", "MEASURED", "Block", "BlockCoefficients", "PlatformBlocks", "platform_blocks"]

FORMAT = 2

FILE = Path(__file__).with_name("blocks_nangate45.json")

MEASURED = PlatformParameters(
    rows=32, columns=32, requantizers=8, plane_memory_kib=16, accumulator_vectors=64
)
"""Platform whose blocks are measured; the energy of an access to larger ones is scaled from it."""

STACKED = dataclasses.replace(MEASURED, stack=3, plane_banks=8)
"""Platform whose stack adders are measured."""


@dataclass(frozen=True)
class Block:
    """A block that is measured by itself.

    Attributes
    ----------
    part : its path in the engine
    apart : submodules that are blocks of their own
    terms : accesses that its energy is told by, besides cycles
    build : the component, of a platform
    wide : whether an access takes energy in proportion to the rows of a tile
    sizes : platform that it is measured on
    memories : whether its memories are measured with it, as flip-flops
    """

    part: str
    terms: tuple[str, ...]
    build: Callable[[PlatformParameters], Component]
    apart: tuple[str, ...] = ()
    wide: bool = False
    sizes: PlatformParameters = MEASURED
    memories: bool = False


BLOCKS: Mapping[str, Block] = {
    "walker": Block("unit_0_0.walker", ("planes",), Walker),
    "aligner": Block("unit_0_0.aligner", ("planes",), lambda p: PlaneAligner(p.rows), wide=True),
    "plane memory's ports": Block(
        "memory",
        ("plane_reads", "skip_reads", "plane_writes"),
        lambda p: PlaneMemory(p, readers=p.tiles + 1, writers=p.tiles + 1),
        wide=True,
    ),
    "accumulators": Block(
        "unit_0_0.accumulators_0", ("stores", "stored_bits", "drained_bits"), AccumulatorMemory
    ),
    "stack adder": Block("adder_0_0", ("stores", "stack_bits"), StackAdder, sizes=STACKED),
    "requantizer": Block(
        "unit_0_0.drain_0.requantizer_0",
        # Its operands change while its results do not count.
        ("lane_results", "lane_skips", "lane_compared"),
        lambda p: Requantizer(p.lane_bits(p.tile.weight_widths[-1])),
    ),
    "order of results": Block("unit_0_0.drain_0.order", ("steps",), ResultOrder),
    "parameter memory": Block(
        "unit_0_0.drain_0.parameters",
        ("records", "parameter_reads"),
        ParameterMemory,
        memories=True,
    ),
    "skip reader": Block("unit_0_0.drain_0.skips", ("skip_reads",), SkipReader, wide=True),
    "table's ports": Block("unit_0_0.drain_0.table", ("lookups",), lambda p: Table(p.requantizers)),
    "plane writer": Block(
        "unit_0_0.drain_0.writer", ("plane_writes", "written"), PlaneWriter, wide=True
    ),
    "stages of the drain": Block(
        "unit_0_0.drain_0",
        ("results", "compared", "skips"),
        Drain,
        apart=(
            *(f"requantizer_{lane}" for lane in range(MEASURED.requantizers)),
            *("order", "parameters", "skips", "writer", "table", "raw_writer"),
        ),
    ),
    # Without its parameter memory, whose words are flip-flops that stand.
    "drain without results": Block(
        "unit_0_1.drain_0", (), Drain, apart=("parameters",), sizes=STACKED
    ),
    "conductor": Block("conductor", ("layers",), Conductor),
}
"""Blocks of the engine but for its tile, and the raw writer, which has three flip-flops."""


@dataclass(frozen=True)
class BlockCoefficients:
    """Energy of a block's accesses.

    Attributes
    ----------
    fj : of each access by its term, and of ``cycles``, in which the block has its clock and
        nothing else happens
    leakage_nw, area_um2, longest_path_ns : of the block, memories apart
    error : largest difference of a layer from the gate level, as a share of the largest layer's
        energy a cycle, where the layer was left out of the fit
    revision : sha256 of its RTL
    """

    fj: Mapping[str, float]
    leakage_nw: float
    area_um2: float
    longest_path_ns: float
    error: float
    revision: str


@dataclass(frozen=True)
class PlatformBlocks:
    """Coefficients of all blocks, in one library's cells."""

    library: str
    library_sha256: str
    voltage: float
    temperature: float
    period_ns: float
    platform: Mapping[str, int]
    blocks: Mapping[str, BlockCoefficients]

    @property
    def measured(self) -> PlatformParameters:
        """Platform whose blocks were measured."""
        return PlatformParameters(**self.platform)

    @property
    def other_revisions(self) -> list[str]:
        """Blocks whose RTL is not the one that was measured."""
        now = revisions()
        return [name for name, block in self.blocks.items() if now.get(name) != block.revision]

    def require_same_cells(self, tile: Coefficients) -> None:
        """Check that a tile was characterized in the blocks' library, with the wires of its wire
        load model as they were.

        Raises
        ------
        EnergyError
            If it was not.
        """
        liberty = tile.provenance.get("liberty", {})
        same = liberty.get("sha256") == self.library_sha256
        if tile.layout is not None or not same:
            raise EnergyError(
                f"{tile.library}: the platform's blocks are measured in {self.library}, with the "
                f"wires of its wire load model: give --library {self.library}"
            )

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def read(cls, path: Path) -> "PlatformBlocks":
        """Read what :meth:`to_json` gave.

        Raises
        ------
        EnergyError
            If the file is damaged, of another format, or lacks a block.
        """
        remedy = "write it with `adq dev platform-blocks --liberty`"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content.pop("format") != FORMAT:
                raise EnergyError(f"{path}: is of another format version: {remedy}")
            blocks = {
                name: BlockCoefficients(**each) for name, each in content.pop("blocks").items()
            }
            found = cls(blocks=blocks, **content)
            missing = BLOCKS.keys() - blocks.keys()
            for name, each in BLOCKS.items():
                if name not in missing and set(each.terms) - set(blocks[name].fj):
                    missing |= {name}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, EnergyError):
                raise
            raise EnergyError(f"{path}: holds no coefficients of blocks: {error}") from None
        if missing:
            raise EnergyError(f"{path}: has no coefficients of {', '.join(missing)}: {remedy}")
        return found


@functools.cache
def platform_blocks() -> PlatformBlocks:
    """Return the coefficients that come with the package."""
    return PlatformBlocks.read(FILE)


@functools.cache
def revisions() -> Mapping[str, str]:
    """Return the sha256 of each block's RTL as the source has it now, without comments."""
    found = {}
    for name, block in BLOCKS.items():
        with ELABORATION:
            text = to_rtlil(block.build(block.sizes), name="block")
        found[name] = hashlib.sha256(numbered(text).encode()).hexdigest()
    return found
