"""Networks on the engine in RTL: integers compared, and cycles beside those of the formulas."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adq.golden.integer_network import run
from adq.golden.network import Network
from adq.golden.platform.emission import emit
from adq.golden.platform.host import input_memory, run_and_compare
from adq.golden.platform.planning.planner import plan
from adq.golden.platform.planning.timeline import engine_cycles
from adq.rtl.platform.descriptors import Layer
from adq.rtl.platform.parameters import PlatformParameters
from adq.verif.cocotb.engine.model import build_engine
from adq.verif.simulation.environment import platform_environment
from adq.verif.simulation.simulator import SimulationError

__all__ = ["LayerRun", "run_on_engine"]


@dataclass(frozen=True)
class LayerRun:
    """A layer that ran on the engine, in one pass."""

    node: str
    layer: Layer
    results: int
    """Results that were compared."""
    cycles: int
    """Cycles from taking its descriptor until the next one could be taken."""
    timeline: int
    """Cycles by :func:`adq.golden.platform.planning.timeline.engine_cycles`."""
    planned: int
    """Cycles by the formulas of the planner."""
    waits: int
    """Cycles in which ports waited for each other, for a bank of the plane memory most of all."""

    @property
    def agrees(self) -> bool:
        """Return whether it took the cycles of its timeline, in which no waits of ports are.

        A wait costs a cycle, or none if nothing else waits for it.
        """
        return self.timeline <= self.cycles <= self.timeline + self.waits


def run_on_engine(
    network: Network,
    inputs: np.ndarray,
    platform: PlatformParameters,
    directory: Path,
    cache: Path,
    *,
    batch: int = 32,
) -> Iterator[LayerRun]:
    """Run a network's program on the engine, and yield its layers in the order of the run.

    Every integer that the interpreter computes is compared with the integer network, and every
    result that the engine writes with the interpreter.

    Parameters
    ----------
    inputs
        Images (N, C, H, W) or (N, F).
    directory
        Folder for the program and the log.
    cache
        Folder of compiled models.
    batch
        Most images at a time.

    Raises
    ------
    SimulationError
        An integer differs, or the simulation broke off.

    """
    made = plan(network, platform, batch=min(batch, len(inputs)))
    program = emit(made, len(inputs))
    _, compared = run_and_compare(network, program, inputs, run(network, inputs))
    differing = [name for name, each in compared.items() if each.differing]
    if differing:
        raise SimulationError(f"the interpreter differs in {', '.join(differing)}")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "network.program").write_bytes(program.to_bytes())
    (directory / "inputs").write_bytes(input_memory(program, inputs))
    _, failures = build_engine(platform, cache).run(
        "adq.verif.cocotb.engine.test_program",
        directory=directory,
        environment=platform_environment(platform) | {"ADQ_PROGRAM": str(directory.resolve())},
        seed=1,
        timeout=3600,
    )
    if failures:
        raise SimulationError(f"the engine differs; see {directory / 'sim.log'}")
    found = json.loads((directory / "engine.json").read_text(encoding="utf-8"))
    steps = dict(zip(program.notes["layers"], made.steps, strict=True))
    for each in found["layers"]:
        layer = program.descriptor(each["index"])
        assert isinstance(layer, Layer)
        step = steps[str(each["index"])]
        yield LayerRun(
            node=step.step.node,
            layer=layer,
            results=layer.windows * layer.outputs,
            cycles=each["cycles"],
            timeline=engine_cycles(layer, platform),
            planned=step.cycles.compute + step.cycles.fill,
            waits=sum(each["waits"].values()),
        )
