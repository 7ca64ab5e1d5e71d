"""A network on the platform in RTL: everything compared, cycles beside those of the timeline."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adq.golden.integer_network import run as run_integers
from adq.golden.network import Network
from adq.golden.platform.emission import emit
from adq.golden.platform.host import input_memory, read_outputs, run_and_compare
from adq.golden.platform.interpreter import Interpreter
from adq.golden.platform.planning.planner import plan
from adq.golden.platform.planning.timeline import engine_cycles
from adq.rtl.platform.descriptors import Layer
from adq.rtl.platform.parameters import PlatformParameters
from adq.verif.simulation.program_runs.model import build_platform
from adq.verif.simulation.program_runs.run import PlatformRun, run_program
from adq.verif.simulation.program_runs.trace import compare_layers
from adq.verif.simulation.simulator import SimulationError

__all__ = ["LAYER_CLASSES", "NetworkRun", "RunLayer", "simulate_on_platform"]

LAYER_CLASSES = ("settings", "planes", "bus", "weights", "results")
"""Counters of the cycles in which a layer is prepared or under way."""


@dataclass(frozen=True, kw_only=True)
class RunLayer:
    """A layer of a program that ran."""

    node: str
    weight_bits: int
    planes: int
    vectors: int
    """Vectors of a pass."""
    outputs: int
    passes: int
    timeline: int
    """Cycles of all passes by :func:`adq.golden.platform.planning.timeline.engine_cycles`."""
    words: int
    """Words that it wrote, and that were compared; raw results are among the network's."""
    differing: int


@dataclass(frozen=True, kw_only=True)
class NetworkRun:
    """A network that ran on the platform."""

    images: int
    layers: tuple[RunLayer, ...]
    results: int
    """Integers that the network returned, and that were compared with the artifact's network."""
    differing: int
    run: PlatformRun

    @property
    def layer_cycles(self) -> int:
        """Cycles in which layers were prepared or under way."""
        return sum(self.run.classes[name] for name in LAYER_CLASSES)

    @property
    def timeline(self) -> int:
        """Cycles of all layers by the timeline."""
        return sum(each.timeline for each in self.layers)

    @property
    def agrees(self) -> bool:
        """Return whether no integer differs, and the counters add up."""
        added = sum(self.run.classes.values()) == self.run.cycles
        return not self.differing and not any(each.differing for each in self.layers) and added


def simulate_on_platform(
    network: Network,
    inputs: np.ndarray,
    platform: PlatformParameters,
    *,
    directory: Path,
    cache: Path,
    batch: int = 32,
    progress: Callable[[str], None] = lambda text: None,
) -> NetworkRun:
    """Run a network's program on the platform in RTL.

    The program is first interpreted, and every integer compared with the network's. Then it runs
    twice in RTL: as it is, for its results and its cycles; and with what each layer writes stored
    behind it, which is compared with the interpreter word by word.

    Parameters
    ----------
    inputs
        Images (N, C, H, W) or (N, F).
    directory
        Folder for files and logs.
    cache
        Folder of compiled models.
    batch
        Most images at a time.

    Raises
    ------
    ModuleNotFoundError
        The package is missing that models the bus.
    SimulationError
        The interpreter differs, the platform stopped, or the simulation broke off.

    """
    importlib.import_module("cocotbext.axi")  # its lack is told before anything is compiled
    made = plan(network, platform, batch=min(batch, len(inputs)))
    program = emit(made, len(inputs))
    expected = run_integers(network, inputs)
    progress("interpreting")
    returned, compared = run_and_compare(network, program, inputs, expected)
    wrong = [name for name, each in compared.items() if each.differing]
    if wrong:
        raise SimulationError(f"the interpreter differs in {', '.join(wrong)}")
    memory = input_memory(program, inputs)
    progress("building and running")
    model = build_platform(platform, cache)
    found = run_program(
        model, program, program.memory, memory, program.output_bytes, directory=directory
    )
    outputs = read_outputs(program, found.outputs)
    differing = sum(
        int((outputs[name][: len(inputs)] != values).sum()) for name, values in returned.items()
    )
    progress("comparing layers")
    traced = {
        each.index: each for each in compare_layers(model, program, memory, directory=directory)
    }
    order = Interpreter(platform, program.memory, memory, program.output_bytes).order()
    passes: dict[int, int] = {}
    for turn in order:
        passes[turn.index] = passes.get(turn.index, 0) + 1
    layers = []
    for key, note in program.notes["layers"].items():
        index = int(key)
        layer = program.descriptor(index)
        assert isinstance(layer, Layer)
        trace = traced.get(index)
        layers.append(
            RunLayer(
                node=note["node"],
                weight_bits=layer.weight_bits,
                planes=layer.source_planes,
                vectors=layer.windows * layer.window,
                outputs=layer.outputs,
                passes=passes[index],
                timeline=passes[index] * engine_cycles(layer, platform),
                words=trace.words if trace else 0,
                differing=trace.differing if trace else 0,
            )
        )
    return NetworkRun(
        images=len(inputs),
        layers=tuple(layers),
        results=sum(values.size for values in returned.values()),
        differing=differing,
        run=found,
    )
