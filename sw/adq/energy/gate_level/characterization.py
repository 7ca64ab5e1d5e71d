"""Characterization of a tile at gate level: what jobs of many kinds take in a library's cells.

Random jobs of every pair of precisions, at activation densities from 0 to 1 and two kinds of
weights, and the layers of trained networks. Each run is a file of its own, so that what broke off
goes on where it stopped.
"""

import functools
import hashlib
import json
import platform
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from adq.energy.coefficients import FORMAT
from adq.energy.gate_level.layer_cases import LayerCase
from adq.energy.gate_level.random_cases import RandomCase
from adq.files import write_json, write_text
from adq.golden.files.locks import waiting
from adq.rtl.parameters import TileParameters
from adq.verif.gate_level.pin_activity import pin_activity
from adq.verif.gate_level.power import Energy
from adq.verif.gate_level.tile import GateLevelTile, MeasuredTile
from adq.verif.liberty.library import Library
from adq.verif.operands.features import features_of
from adq.verif.operands.jobs import streams_of
from adq.verif.parallel.pools import Away, Pool, Task
from adq.verif.parallel.worker import ParallelError
from adq.verif.processes import Processes
from adq.verif.simulation.harness import build_harness
from adq.verif.simulation.harness.bare import play_bare
from adq.verif.simulation.rtl_revision import tile_revisions
from adq.verif.simulation.switching.saif import write_saif
from adq.verif.tasks import side_by_side

__all__ = ["Case", "Opening", "characterize", "open_latched", "open_mapped", "write_for_analyzers"]

Case = RandomCase | LayerCase

Opening = Callable[[TileParameters, Library, Path], MeasuredTile]
"""Gives a tile at gate level, by its parameters, its library, and the folder of kept netlists."""


def open_mapped(parameters: TileParameters, library: Library, cache: Path) -> GateLevelTile:
    """Return a mapped tile with the wires of its library's wire load model."""
    return GateLevelTile(parameters, library, cache=cache)


def open_latched(parameters: TileParameters, library: Library, cache: Path) -> GateLevelTile:
    """Return a mapped tile as :func:`open_mapped` does, its weights in latches."""
    return GateLevelTile(parameters, library, cache=cache, latches=True)


def characterize(
    parameters: TileParameters,
    liberty: Path,
    cases: Sequence[Case],
    *,
    directory: Path,
    cache: Path,
    pool: Pool,
    open_tile: Opening = open_mapped,
    progress: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> dict[str, Any]:
    """Run cases on a tile's netlist in parallel, each once; what ran before is read.

    Parameters
    ----------
    directory
        Folder of the runs' files; those of other netlists and libraries lie beside each other.
    pool
        Workers of the cases, which find ``liberty`` and the artifacts at the same paths.
    open_tile
        Gives the tile that is measured; it has to be hashable, since a worker opens a tile once.
    progress
        Called with the runs done and the run or the stage at hand.

    Returns
    -------
    dict
        The tile, the library, and the runs, as ``adq characterize`` writes them.

    Raises
    ------
    LibertyError, SynthesisError, TimingError, CellModelError, SwitchingError
        If the library cannot be read, or the tile not be mapped to it.
    SimulationError
        If a model cannot be built, or a run fails.
    """
    progress(0, len(cases), "mapping the tile and building its model")
    tile = open_tile(parameters, Library.read(liberty), cache)
    runs = directory / tile.digest[:16]
    runs.mkdir(parents=True, exist_ok=True)
    files = [runs / f"{_digest(case, parameters)}.json" for case in cases]
    waiting = [(case, file) for case, file in zip(cases, files, strict=True) if not file.exists()]
    done = len(cases) - len(waiting)
    places = liberty.resolve(), tile.library.digest, cache.resolve(), open_tile
    tasks = [
        Task(
            file.stem,
            away=Away(
                _run, (parameters, *places, case.absolute()), functools.partial(_keep, file, case)
            ),
        )
        for case, file in waiting
    ]
    for _, name in side_by_side(tasks, pool):
        done += 1
        progress(done, len(cases), str(name))
    return {
        "format": FORMAT,
        "tile": asdict(parameters),
        "library": tile.library.describe(),
        "netlist_sha256": tile.netlist_sha256,
        "layout": asdict(tile.layout) if tile.layout else None,
        "latches": tile.latches,
        "revisions": dict(tile_revisions(parameters.arithmetic)),
        "area_um2": tile.area,
        # Classes of nets that the cells of each class read or drive, and those that mapping has
        # left no net of.
        "fan_in": {
            str(each): sorted(map(str, found)) for each, found in tile.classes.fan_in.items()
        },
        "named": sorted(map(str, tile.classes.named)),
        "period_ns": tile.period,
        "nets": len(tile.switching.nets),
        "runs": _with_counts(parameters, cases, files, runs / "rtl", cache),
    }


def _with_counts(
    parameters: TileParameters,
    cases: Sequence[Case],
    files: Sequence[Path],
    directory: Path,
    cache: Path,
) -> list[dict[str, Any]]:
    """Return the records of runs, with the features that the model has now and with what the RTL
    counts now, whenever the netlist ran.
    """
    model, design = build_harness(parameters, cache / "models")
    found = []
    for case, file in zip(cases, files, strict=True):
        jobs = case.jobs(parameters)
        [play] = play_bare(model, streams_of(parameters, jobs), directory=directory, separate=True)
        found.append(
            json.loads(file.read_text())
            | {
                "features": features_of(parameters, jobs),
                "counts": design.counts_of(play.switching).to_json(),
            }
        )
    shutil.rmtree(directory)
    return found


def _digest(case: Case, parameters: TileParameters) -> str:
    text = case.identity + json.dumps(asdict(parameters), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


_opened: dict[tuple[object, ...], MeasuredTile] = {}
"""The tile of this process."""


def _run(
    programs: Processes,
    parameters: TileParameters,
    liberty: Path,
    sha256: str,
    cache: Path,
    open_tile: Opening,
    case: Case,
) -> dict[str, Any]:
    """Run a case in a worker.

    Raises
    ------
    ParallelError
        If the worker's file of the library is not there, or is another.
    """
    programs.check()
    cache.mkdir(parents=True, exist_ok=True)
    key = (parameters, liberty, cache, open_tile)
    if key not in _opened:
        with waiting(cache / "gate-level", programs.check):  # its model is built once a machine
            _opened[key] = open_tile(parameters, Library.read(liberty), cache)
    if _opened[key].library.digest != sha256:
        raise ParallelError(
            f"{liberty} on {platform.node()} is another file: put the library where all machines "
            "find the same"
        )
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        return record(_opened[key], case, directory=Path(scratch, "run"))


def _keep(file: Path, case: Case, found: dict[str, Any]) -> str:
    write_json(file, found | {"weights": case.weights})  # of the artifact as the user names it
    return case.name


def record(tile: MeasuredTile, case: Case, *, directory: Path) -> dict[str, Any]:
    """Run a case on the netlist; what it took, as numbers."""
    parameters = tile.parameters
    jobs = case.jobs(parameters)
    run = tile.run(jobs, directory=directory)
    for scratch in directory.iterdir():
        scratch.unlink()
    directory.rmdir()
    activations = np.concatenate([job.activations.ravel() for job in jobs])
    planes = sum(sum(job.planes()) for job in jobs)
    macs = sum(job.activations.shape[1] * job.weights[0].size for job in jobs)
    weights = np.concatenate([job.weights.ravel() for job in jobs])
    bits = weights[:, None] >> np.arange(case.weight_bits) & 1
    return {
        "weights": case.weights,
        "words": case.words,
        "used": case.used,
        "weight_bits": case.weight_bits,
        "activation_bits": case.activation_bits,
        "signed": jobs[0].signed,
        "vectors": sum(job.activations.shape[1] for job in jobs),
        "jobs": len(jobs),
        "activation_density": float(np.count_nonzero(activations) / activations.size),
        "weight_bit_density": float(bits.mean()),
        "seed": case.seed,
        "windows": {name: _window(energy) for name, energy in run.energy.items()},
        "leakage_nw": run.energy["compute"].leakage,
        "macs": macs,
        "bit_products": planes * parameters.rows * parameters.columns,
        "classes": {
            str(net_class): {"data_fj": data, "clock_fj": clock}
            for net_class, (data, clock) in sorted(run.classes.items())
        },
    }


def _window(energy: Energy) -> dict[str, Any]:
    return {
        "cycles": energy.cycles,
        "blocks": {
            block: {
                "internal_fj": energy.internal.get(block, 0.0),
                "switching_fj": energy.switching.get(block, 0.0),
                "clock_fj": energy.clock.get(block, 0.0),
            }
            for block in energy.blocks
        },
    }


def write_for_analyzers(
    parameters: TileParameters,
    liberty: Path,
    case: Case,
    *,
    latches: bool = False,
    directory: Path,
    cache: Path,
) -> dict[str, float]:
    """Run a case and leave its netlist (``netlist.v``), and for each window every pin's activity
    (``load.saif``, ``compute.saif``), for other tools to read.

    Returns
    -------
    dict
        Power of each window by this project's reckoning, in W: dynamic, without what lies outside.
    """
    tile = GateLevelTile(parameters, Library.read(liberty), cache=cache, latches=latches)
    directory.mkdir(parents=True, exist_ok=True)
    run = tile.run(case.jobs(parameters), directory=directory)
    write_text(directory / "netlist.v", tile.netlist.to_verilog())
    power = {}
    for name, counts in run.counts.items():
        saif = pin_activity(tile.switching, counts, period_ns=tile.period)
        write_saif(directory / f"{name}.saif", saif)
        power[name] = run.energy[name].total * 1e-15 / (counts.cycles * tile.period * 1e-9)
    return power
