"""Measures the platform's blocks at gate level, on layers that ran in the RTL."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from amaranth.lib import data

from adq.energy.coefficients import EnergyError
from adq.energy.platform.blocks import (
    BLOCKS,
    MEASURED,
    STACKED,
    Block,
    BlockCoefficients,
    PlatformBlocks,
    revisions,
)
from adq.golden.platform.accesses import layer_accesses
from adq.golden.platform.program import Program
from adq.rtl.plane_tag import PlaneTag
from adq.rtl.platform.descriptors import Layer
from adq.rtl.platform.engine import Engine
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.planes.plane_memory import fetch_layout
from adq.verif.liberty.library import Library
from adq.verif.simulation.environment import platform_environment

if TYPE_CHECKING:
    from adq.golden.artifact import Artifact
    from adq.verif.gate_level.replay.block import GateLevelBlock
    from adq.verif.gate_level.replay.waveform import Waveform

__all__ = ["measure_blocks", "terms_of"]


@dataclass(frozen=True)
class TracedLayer:
    """A layer that ran in the RTL.

    Attributes
    ----------
    first, last : its cycles in the waveform
    counts : its accesses, by the names of terms
    """

    waveform: "Waveform"
    first: int
    last: int
    counts: dict[str, float]


def terms_of(layer: Layer, sizes: PlatformParameters = MEASURED) -> dict[str, float]:
    """Return the accesses of a layer on a measured platform, by the names of terms."""
    accesses = layer_accesses(layer, sizes)
    share = accesses.skips / accesses.results if accesses.results else 0.0
    lane = accesses.steps if accesses.results else 0
    return asdict(accesses) | {
        "lane_results": lane,
        "lane_skips": lane * share,
        "lane_compared": accesses.steps if accesses.compared else 0,
        "layers": 1,
    }


def measure_blocks(
    liberty: Path,
    artifact: "Artifact",
    *,
    name: str,
    directory: Path,
    cache: Path,
    progress: Callable[[str], None] = lambda stage: None,
) -> PlatformBlocks:
    """Measure all blocks: layers of random words at each precision, and those of a network.

    What each layer reads and writes in the RTL is held against its closed formulas, and each output
    of each netlist against the RTL.

    Parameters
    ----------
    name
        Of the library.
    artifact
        Network, of which the first image runs.

    Raises
    ------
    EnergyError
        If an access is not counted as the formulas have it.
    LibertyError, SynthesisError, TimingError, SwitchingError, SimulationError
        As of :class:`adq.verif.gate_level.replay.block.GateLevelBlock`.
    """
    from adq.verif.gate_level.replay.block import GateLevelBlock
    from adq.verif.synthesis.synthesis import PERIOD

    library = Library.read(liberty)
    progress("layers in the RTL")
    layers = {
        MEASURED: [
            *_random_layers(MEASURED, directory, cache),
            *_network(artifact, directory, cache),
        ],
        STACKED: list(_random_layers(STACKED, directory / "stacked", cache)),
    }
    for layer in layers[MEASURED]:
        _check(layer)
    found = {}
    now = revisions()
    for block_name, block in BLOCKS.items():
        progress(block_name)
        mapped = GateLevelBlock(
            Engine(block.sizes),
            library,
            name="engine",
            part=block.part,
            apart=block.apart,
            memories=block.memories,
            cache=cache,
        )
        found[block_name] = _fitted(block, mapped, layers[block.sizes], now[block_name])
    return PlatformBlocks(
        library=name,
        library_sha256=library.digest,
        voltage=library.voltage,
        temperature=library.temperature,
        period_ns=PERIOD,
        platform=asdict(MEASURED),
        blocks=found,
    )


def _run(
    test: str, sizes: PlatformParameters, directory: Path, cache: Path, **variables: str
) -> "Waveform":
    """Run a test of the engine in the RTL, and return its waveform."""
    from adq.verif.cocotb.engine.model import build_engine
    from adq.verif.gate_level.replay.waveform import Waveform
    from adq.verif.simulation.simulator import SimulationError

    folder = directory / test
    _, failures = build_engine(sizes, cache / "models", waves=True).run(
        f"adq.verif.cocotb.engine.test_{test}",
        directory=folder,
        environment=platform_environment(sizes) | variables,
        seed=1,
        waves=True,
    )
    if failures:
        raise SimulationError(f"the engine differs; see {folder / 'sim.log'}")
    return Waveform(
        folder / "dump.vcd",
        top="engine",
        clock="clk",
        chosen=lambda scope, _: ".tile_" not in scope,
    )


def _random_layers(
    sizes: PlatformParameters, directory: Path, cache: Path
) -> Iterator[TracedLayer]:
    """Run layers of each precision over random words in the RTL."""
    folder = (directory / "layers").resolve()
    waveform = _run("layers", sizes, directory, cache, ADQ_SPANS=str(folder))
    for span in json.loads((folder / "spans.json").read_text(encoding="utf-8")):
        counts = terms_of(Layer(**span["layer"]), sizes)
        yield TracedLayer(waveform, span["first"], span["last"], counts)


def _network(artifact: "Artifact", directory: Path, cache: Path) -> Iterator[TracedLayer]:
    """Run the first image of a network in the RTL."""
    from adq.golden.platform.emission import emit
    from adq.golden.platform.host import input_memory
    from adq.golden.platform.planning.planner import plan

    inputs = artifact.samples.inputs[:1]
    program = emit(plan(artifact.network, MEASURED, batch=1), 1)
    folder = (directory / "program").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "network.program").write_bytes(program.to_bytes())
    (folder / "inputs").write_bytes(input_memory(program, inputs))
    waveform = _run("program", MEASURED, directory, cache, ADQ_PROGRAM=str(folder))
    for each in json.loads((folder / "engine.json").read_text(encoding="utf-8"))["layers"]:
        counts = terms_of(_layer(program, each["index"]))
        yield TracedLayer(waveform, each["first"], each["first"] + each["cycles"], counts)


def _layer(program: Program, index: int) -> Layer:
    layer = program.descriptor(index)
    assert isinstance(layer, Layer)
    return layer


def counted(waveform: "Waveform", first: int, last: int) -> dict[str, int]:
    """Return the accesses that ports of the RTL had in some cycles."""
    span = slice(first, last)
    fetch = waveform.bits("memory.fetches__0")[span]
    layout = fetch_layout(MEASURED.address_bits)
    valid = data.Layout.cast(PlaneTag)["valid"].offset

    def both(*names: str) -> int:
        return int(waveform.counts(names)[span].sum())

    return {
        "planes": int(waveform.bits("unit_0_0.aligner.fetched")[span, valid].sum()),
        "plane_reads": int(
            sum(fetch[:, layout[name].offset].sum() for name in ("first", "second"))
        ),
        "skip_reads": both("memory.reads__0__valid", "memory.reads__0__ready"),
        "plane_writes": both("memory.writes__0__valid", "memory.writes__0__ready"),
        "stores": int(waveform.bits("unit_0_0.accumulators_0.ended")[span, valid].sum()),
        "records": both("records__valid", "records__ready"),
    }


def _check(layer: TracedLayer) -> None:
    for name, count in counted(layer.waveform, layer.first, layer.last).items():
        if count != layer.counts[name]:
            raise EnergyError(
                f"a layer has {count:,} {name.replace('_', ' ')} in the RTL, and "
                f"{layer.counts[name]:,} by the formulas"
            )


def _fitted(
    block: Block, mapped: "GateLevelBlock", layers: Sequence[TracedLayer], revision: str
) -> BlockCoefficients:
    """Fit a block's energies of accesses, not negative, to those of the layers; what it takes in
    every cycle is measured apart.
    """
    recordings: dict[int, np.ndarray] = {}
    runs = []
    for layer in layers:
        key = id(layer.waveform)
        if key not in recordings:
            recordings[key] = mapped.replay(layer.waveform)
        runs.append(mapped.run(recordings[key], layer.first, layer.last))
    quiet = mapped.idle(layers[0].waveform)
    idle = quiet.energy / quiet.cycles
    cycles = np.array([run.cycles for run in runs], float)
    energy = np.array([run.energy for run in runs])
    accesses = energy - idle * cycles
    terms = np.array([[each.counts[term] for term in block.terms] for each in layers], float)
    solution = _solved(terms, accesses, cycles)
    left_out = []
    for place in range(len(layers)):
        others = np.arange(len(layers)) != place
        told = terms[place] @ _solved(terms[others], accesses[others], cycles[others])
        left_out.append(abs(told - accesses[place]) / cycles[place])
    return BlockCoefficients(
        fj=dict(zip((*block.terms, "cycles"), (*solution.tolist(), idle), strict=True)),
        leakage_nw=float(np.average([run.leakage for run in runs], weights=cycles)),
        area_um2=mapped.area,
        longest_path_ns=float(mapped.synthesis.timing.delay),
        error=float(max(left_out) / (energy / cycles).max()),
        revision=revision,
    )


def _solved(matrix: np.ndarray, energy: np.ndarray, cycles: np.ndarray) -> np.ndarray:
    """Return coefficients that are not negative, with the least errors of energies a cycle."""
    from scipy.optimize import nnls

    if not matrix.shape[1]:
        return np.zeros(0)

    weights = 1 / np.sqrt(cycles)
    scale = np.maximum(matrix.max(axis=0), 1)
    solution: np.ndarray = nnls(matrix / scale * weights[:, None], energy * weights)[0] / scale
    return solution
