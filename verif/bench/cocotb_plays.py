"""Timed plays of streams under cocotb."""

import json
from dataclasses import asdict
from pathlib import Path

from adq.rtl.parameters import TileParameters
from adq.verif.operands.jobs import Streams
from adq.verif.simulation.simulator import Build, SimulationError
from adq.verif.simulation.switching.activity import CountedDesign

__all__ = ["play_under_cocotb"]


def play_under_cocotb(
    model: Build,
    design: CountedDesign,
    parameters: TileParameters,
    streams: Streams,
    *,
    directory: Path,
    plays: int,
) -> list[dict]:
    """Play streams one time after the other; results of the last are in ``results.hex``.

    Returns
    -------
    list of dict
        Of each play its ``cycles``, ``seconds`` and ``cpu_seconds``, from the first cycle to the
        last.

    Raises
    ------
    SimulationError
        If the simulation breaks off or the tile hangs.
    """
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    streams.write(directory)
    specification = {
        "tile": asdict(parameters),
        "words": design.words,
        "results": streams.results,
        "patience": streams.patience,
        "plays": plays,
    }
    taken = directory / "plays.json"
    taken.unlink(missing_ok=True)
    _, failures = model.run(
        "adq.verif.cocotb.speed.test_speed",
        directory=directory,
        environment={"ADQ_PLAYS": json.dumps(specification)},
        seed=1,
    )
    if failures:
        raise SimulationError(f"the jobs did not run to their end; see {directory / 'sim.log'}")
    return json.loads(taken.read_text())
