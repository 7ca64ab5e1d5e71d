"""Area and timing of a design whose parts are mapped by themselves and joined."""

import copy
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adq.verif.liberty.library import Library
from adq.verif.synthesis.hierarchy.linking import CLOCK, interface_model, link
from adq.verif.synthesis.hierarchy.parts import Part
from adq.verif.synthesis.netlist import Instance, Netlist
from adq.verif.synthesis.paths import Path as TimingPath
from adq.verif.synthesis.paths import worst_by_block
from adq.verif.synthesis.sizing import buffer_nets, size_cells
from adq.verif.synthesis.synthesis import PERIOD, Synthesis, synthesize
from adq.verif.synthesis.timing import Timing

__all__ = ["Hierarchy", "synthesize_parts"]


@dataclass(frozen=True)
class Hierarchy:
    """Area and timing of a design in parts.

    Paths within a part are those of its own netlist, with the cells and loads that it has in each
    place. Paths between parts are those of the interface models of all parts, joined.

    Attributes
    ----------
    area : um2 of cells, by block
    flip_flops : their number, by block
    cells : their number
    paths : longest path to an endpoint in each block
    """

    area: Mapping[str, float]
    flip_flops: Mapping[str, int]
    cells: int
    paths: Mapping[str, TimingPath]

    @property
    def longest_path(self) -> TimingPath:
        """The longest path."""
        return max(self.paths.values(), key=lambda path: path.delay)


def synthesize_parts(
    whole: Part,
    library: Library,
    *,
    blocks: Mapping[str, str],
    objectives: Mapping[str, str] | None = None,
    period: float = PERIOD,
    cache: Path | None = None,
    progress: Callable[[str], object] = lambda step: None,
) -> Hierarchy:
    """Map each different part of a design once, memories apart, and size the paths between them.

    Cells that a path between parts passes can get larger after their part has been sized.

    Parameters
    ----------
    whole
        The design.
    blocks
        Regular expressions that the names of a block's nets begin with, with their paths in the
        design. Places of the same part must be told the same.
    objectives
        What the mapping of a part favours, by the part's name; of others ``speed``.
    period, cache
        As of :func:`adq.verif.synthesis.synthesis.synthesize`.
    progress
        Called with what is done next.

    Raises
    ------
    SynthesisError, TimingError
        As of :func:`adq.verif.synthesis.synthesis.synthesize`.
    """
    mapped: dict[int, Synthesis] = {}
    parts: dict[str, Synthesis] = {}
    models: dict[str, Netlist] = {}
    kinds: dict[int, Netlist] = {}
    for path, part in whole.places():
        if id(part) not in mapped:
            progress(f"mapping {path or part.name}")
            mapped[id(part)] = synthesize(
                part.source,
                library,
                name=part.name,
                apart=list(part.parts),
                memories=False,
                blocks=blocks,
                prefix=f"{path}." if path else "",
                objective=(objectives or {}).get(part.name, "speed"),
                period=period,
                cache=cache,
            )
            netlist = mapped[id(part)].netlist
            kinds[id(part)] = interface_model(
                netlist,
                library,
                [port for port in netlist.ports if _is_interface(port, part, whole)],
            )
        parts[path], models[path] = mapped[id(part)], kinds[id(part)]
    progress("sizing paths between parts")
    between = link(models, whole.name)
    buffer_nets(between, library)
    timing = size_cells(between, library, period=period, grow_only=True)
    progress("timing each part in its place")
    return _sum_up(parts, timing, library)


def _is_interface(port: str, part: Part, whole: Part) -> bool:
    """Return whether a port of a part leads into another one. Others are those of memories, and of
    the whole.
    """
    path, dot, name = port.rpartition(".")
    return name != CLOCK and (path in part.parts if dot else part is not whole)


def _sum_up(parts: Mapping[str, Synthesis], between: Timing, library: Library) -> Hierarchy:
    """Add up places, each with the cells that it has after sizing between parts."""
    placed = {each.name: each for each in between.graph.netlist.instances}
    counts: Counter[tuple[str, str]] = Counter()
    paths = worst_by_block(between)
    for path, part in parts.items():
        instances = part.netlist.instances
        own = [placed.pop(f"{path}/{i.name}" if path else i.name, i) for i in instances]
        timing = _in_place(part, own, between)
        for block, worst in worst_by_block(timing).items():
            if block not in paths or worst.delay > paths[block].delay:
                paths[block] = worst
        counts.update((each.block, each.cell) for each in own)
    counts.update((each.block, each.cell) for each in placed.values())  # buffers between parts
    area: defaultdict[str, float] = defaultdict(float)
    flip_flops: Counter[str] = Counter()
    for (block, cell), count in counts.items():
        area[block] += count * library.cells[cell].area
        if library.cells[cell].sequential == "ff":
            flip_flops[block] += count
    return Hierarchy(dict(area), flip_flops, counts.total(), paths)


def _in_place(part: Synthesis, own: Sequence[Instance], between: Timing) -> Timing:
    """Return the timing of a part with the cells of one place, and the loads on its ports there."""
    alone = part.timing
    graph = copy.copy(alone.graph)
    graph.port_load = graph.port_load.copy()
    for each, same in zip(part.netlist.instances, own, strict=True):
        for pin in part.library.cells[each.cell].outputs if same is not each else ():
            net = graph.net_on(each, pin.name)
            if net in graph.port_of and pin.name in same.pins:
                load = between.load[between.graph.net_on(same, pin.name)]
                graph.port_load[net] += max(0.0, load - alone.load[net])
    return graph.analyse([same.cell for same in own])
