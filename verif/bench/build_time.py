"""Seconds from nothing to a running simulation."""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from adq.rtl.parameters import TileParameters
from adq.verif.simulation.simulator import SimulationError

__all__ = ["BuildTime", "measure_build"]


@dataclass(frozen=True)
class BuildTime:
    """Generating, compiling and running for the first time, Python's start included.

    Attributes
    ----------
    seconds : of wall clock
    cpu_seconds : of all processors, of that and what it started
    load : processes that wanted a processor, on average over the last minute, at the end
    """

    seconds: float
    cpu_seconds: float
    cores: int
    load: float


def measure_build(parameters: TileParameters, *, cache: Path, directory: Path) -> BuildTime:
    """Build the tile's harness in ``cache``, emptied before, and run a job of one vector on it.

    Raises
    ------
    SimulationError
        If the build or the run fails.
    """
    shutil.rmtree(cache, ignore_errors=True)
    arguments = [json.dumps(asdict(parameters)), str(cache), str(directory)]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-m", "adq.verif.bench.build_time", *arguments],
        capture_output=True,
        text=True,
    )
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode:
        raise SimulationError(
            f"building from nothing failed: {run.stderr.strip().splitlines()[-1]}"
        )
    return BuildTime(
        seconds=seconds,
        cpu_seconds=sum(
            getattr(after, clock) - getattr(before, clock) for clock in ("ru_utime", "ru_stime")
        ),
        cores=len(os.sched_getaffinity(0)),
        load=os.getloadavg()[0],
    )


def first_simulation(parameters: TileParameters, *, cache: Path, directory: Path) -> None:
    """Build the harness, and run a job of one vector under cocotb."""
    from adq.verif.bench.cocotb_plays import play_under_cocotb
    from adq.verif.operands.jobs import random_job, streams_of
    from adq.verif.simulation.harness import build_harness

    job = random_job(
        parameters,
        np.random.default_rng(1),
        weight_bits=8,
        activation_bits=8,
        signed=False,
        vectors=1,
    )
    model, design = build_harness(parameters, cache)
    streams = streams_of(parameters, [job])
    play_under_cocotb(model, design, parameters, streams, directory=directory, plays=1)


if __name__ == "__main__":
    tile, models, run_directory = sys.argv[1:]
    first_simulation(
        TileParameters(**json.loads(tile)), cache=Path(models), directory=Path(run_directory)
    )
