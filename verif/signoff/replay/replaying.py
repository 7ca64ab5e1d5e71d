"""Repeats a run on a model that writes waveforms."""

import re
from dataclasses import dataclass
from pathlib import Path

from adq.verif.signoff.regression.models import Models
from adq.verif.signoff.regression.runs import Run, module
from adq.verif.signoff.replay.reducing import run_cases
from adq.verif.signoff.replay.waves import read_scopes, write_gtkwave, write_surfer
from adq.verif.simulation.environment import tile_environment
from adq.verif.simulation.results import TestResult, read_results
from adq.verif.simulation.simulator import SimulationError

__all__ = ["Replayed", "replay_run"]


@dataclass(frozen=True)
class Replayed:
    """Files and results of a replay."""

    results: list[TestResult]
    wave: Path
    surfer: Path
    gtkwave: Path


def replay_run(
    run: Run, models: Models, directory: Path, *, test: str = "", cases: Path | None = None
) -> Replayed:
    """Repeat a run, one of its tests, or cases on its tile, with its seed.

    Parameters
    ----------
    models
        With waveforms.

    Raises
    ------
    SimulationError
        If there is no such test, or the simulation breaks off.
    """
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    wave = directory / "dump.fst"
    wave.unlink(missing_ok=True)
    if cases is not None:
        results = run_cases(run, models, cases, directory, fst=True)
    else:
        folder, _, name = test.partition(".")
        if test and folder not in run.folders:
            raise SimulationError(
                f"{run.id} has no test {test}: its tests begin with {', '.join(run.folders)}"
            )
        models.get(run).run(
            ",".join(map(module, [folder] if test else run.folders)),
            directory=directory,
            environment=tile_environment(run.tile),
            seed=run.seed,
            only=rf"{re.escape(f'{module(folder)}.{name}')}(/|$)" if test else run.only,
            fst=True,
            processes=models.processes,
        )
        results = read_results(directory / "results.xml")
    if not wave.exists():
        raise SimulationError(f"{run.id} left no waveform; see {directory / 'sim.log'}")
    scopes = read_scopes(models.verilog(run), models.get(run).top)
    replayed = Replayed(results, wave, directory / "waves.sucl", directory / "waves.gtkw")
    write_surfer(scopes, wave, replayed.surfer)
    write_gtkwave(scopes, wave, replayed.gtkwave)
    return replayed
