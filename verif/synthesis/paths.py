"""Longest paths of a timed netlist, cell by cell."""

from dataclasses import dataclass

import numpy as np

from adq.verif.synthesis.netlist import Instance
from adq.verif.synthesis.timing import Timing

__all__ = ["Path", "Stage", "longest_paths", "worst_by_block"]

EDGES = ("rise", "fall")


@dataclass(frozen=True)
class Stage:
    """A step of a path: a cell, the net that it drives, and its delay; ns and fF."""

    instance: str
    cell: str
    block: str
    net: str
    edge: str
    fanout: int
    load: float
    slew: float
    delay: float
    arrival: float


@dataclass(frozen=True)
class Path:
    """A path from a register or an input to a register or an output."""

    start: str
    end: str
    stages: tuple[Stage, ...]
    setup: float
    delay: float
    """All of it, in ns: from the clock's edge to the last output, and the setup time there, less
    ``clock``; twice that where it has half of a period."""
    clock: float
    """ns at which the clock reaches the end, where it is not ideal."""
    cycles: float = 1.0
    """Share of the period that it may take."""

    @property
    def block(self) -> str:
        """Block in which the path spends most of its time."""
        spent: dict[str, float] = {}
        for stage in self.stages:
            spent[stage.block] = spent.get(stage.block, 0.0) + stage.delay
        return max(spent, key=spent.__getitem__, default="")

    def __str__(self) -> str:
        lines = [f"{self.delay:.3f} ns from {self.start} to {self.end}"]
        lines += [
            f"  {s.arrival:7.3f} +{s.delay:.3f} {s.edge:4} {s.cell:12} fanout {s.fanout:4d} "
            f"{s.load:7.1f} fF slew {s.slew:.3f}  {s.block:18} {s.instance} {s.net}"
            for s in self.stages
        ]
        clock = f", clock {self.clock:.3f}" if self.clock else ""
        half = ", half a period" if self.cycles < 1 else ""
        return "\n".join([*lines, f"  {self.delay:7.3f} +{self.setup:.3f} setup{clock}{half}"])


def longest_paths(timing: Timing, count: int = 1) -> list[Path]:
    """Return the longest path to each of the ``count`` latest endpoints."""
    found: list[Path] = []
    seen = set()
    for end in np.argsort(-timing.path_delays, kind="stable"):
        if len(found) == count:
            break
        key = (timing.end_nodes[end] // 2, timing.end_owners[end])
        if key not in seen and np.isfinite(timing.path_delays[end]):
            seen.add(key)
            found.append(_path(timing, end))
    return found


def worst_by_block(timing: Timing) -> dict[str, Path]:
    """Return the longest path to an endpoint in each block, the longest first. Outputs of the tile
    are the block ``"outputs"``.
    """
    instances = timing.graph.netlist.instances
    worst: dict[str, int] = {}
    for end in np.argsort(-timing.path_delays, kind="stable"):
        owner = timing.end_owners[end]
        if np.isfinite(timing.path_delays[end]):
            worst.setdefault("outputs" if owner < 0 else instances[owner].block, end)
    return {block: _path(timing, end) for block, end in worst.items()}


def _path(timing: Timing, end: int) -> Path:
    """Trace a path back from its endpoint, always to the latest input."""
    graph = timing.graph
    instances = graph.netlist.instances
    node, owner = timing.end_nodes[end], timing.end_owners[end]
    if owner < 0:
        target = f"output {graph.port_of[node // 2]}"
    else:
        target = _held_by(timing, instances[owner])
    stages = []
    while True:
        net = node // 2
        low, high = timing.bounds[graph.level[net] : graph.level[net] + 2]
        low, high = low + np.searchsorted(timing.targets[low:high], [node, node + 1])
        if low == high:
            start = f"input {graph.name_of(net)}"
            break
        arrivals = timing.arrival[timing.sources[low:high]] + timing.arc_delay[low:high]
        arc = low + int(np.argmax(arrivals))
        instance = instances[timing.owners[arc]]
        stages.append(
            Stage(
                instance=instance.name,
                net=graph.name_of(net),
                cell=timing.cells[timing.owners[arc]],
                block=instance.block,
                edge=EDGES[node % 2],
                fanout=int(graph.fanout[net]),
                load=float(timing.load[net]),
                slew=float(timing.slew[node]),
                delay=float(timing.arc_delay[arc]),
                arrival=float(timing.arrival[node]),
            )
        )
        node = timing.sources[arc]
        if node >= timing.clock_node:
            start = _held_by(timing, instance)
            break
    return Path(
        start=start,
        end=target,
        stages=tuple(reversed(stages)),
        setup=float(timing.setups[end]),
        clock=float(timing.end_clocks[end]),
        delay=float(timing.path_delays[end]),
        cycles=float(timing.end_cycles[end]),
    )


def _held_by(timing: Timing, instance: Instance) -> str:
    """Return the name of the net that a register or a clock gate drives."""
    outputs = timing.graph.library.cells[instance.cell].outputs
    nets = (instance.pins[pin.name] for pin in outputs if pin.name in instance.pins)
    return timing.graph.netlist.name_of(next(nets))
