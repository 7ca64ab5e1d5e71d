"""Predictions of the platform's RTL: the outputs of a network for many images."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adq.golden.files.directory import scratch_directory
from adq.golden.platform.emission import emit
from adq.golden.platform.host import input_memory, read_outputs
from adq.golden.platform.planning.planner import Plan, plan
from adq.golden.platform.program import Program
from adq.golden.samples import Artifact
from adq.verif.simulation.program_runs.compiled import CompiledHost, CompiledRun

__all__ = ["Prediction", "predict"]

RUN_IMAGES = 256
"""Most images of a run of the program: what is simulated at a time."""

PATIENCE = 4
"""Times the planned cycles after which the platform is taken to hang."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Outputs of a network, and the cycles that they took.

    Attributes
    ----------
    images : images that were computed
    outputs : int64 (N, ...) by node, what the network returns
    differing : integers of these that are not the artifact's
    runs : programs that ran, each for some of the images
    counters : cycles of all runs by what was done in them, ``cycles`` in all, and beats of the bus
    planned : cycles of all runs by the formulas, without loads of images
    processes : simulations side by side, at most
    seconds : of all runs, from the first one's start to the last one's end
    """

    images: int
    outputs: dict[str, np.ndarray]
    differing: int
    runs: int
    counters: dict[str, int]
    planned: int
    processes: int
    seconds: float


def predict(
    artifact: Artifact,
    host: CompiledHost,
    *,
    images: int,
    batch: int,
    processes: int | None,
    progress: Callable[[int], None],
) -> Prediction:
    """Run an artifact's first images on a compiled platform, and compare what it returns.

    Parameters
    ----------
    artifact
        Artifact of the format that a platform runs.
    host
        The platform.
    batch
        Most images at a time on the platform.
    processes
        Simulations side by side. Default: one for each processor, or as many processors as the
        host has threads.
    progress
        Is told how many images are done.

    Raises
    ------
    adq.golden.platform.planning.steps.PlanError
        The platform cannot run the network.
    adq.verif.simulation.simulator.SimulationError
        The platform stopped the program, or hangs.

    """
    cores = processes or max(1, len(os.sched_getaffinity(0)) // host.threads)
    size = max(1, min(RUN_IMAGES, -(-images // cores)))
    made = plan(artifact.network, host.platform, batch=min(batch, size))
    parts = [slice(first, min(first + size, images)) for first in range(0, images, size)]
    programs = {count: emit(made, count) for count in {part.stop - part.start for part in parts}}
    found: dict[str, np.ndarray] = {}
    counters: dict[str, int] = {}
    done = planned = 0
    began = time.perf_counter()
    with (
        scratch_directory(host.model.directory.parent, "predict") as scratch,
        ThreadPoolExecutor(max_workers=cores) as pool,
    ):
        waiting = {}
        for number, part in enumerate(parts):
            program = programs[part.stop - part.start]
            task = pool.submit(_run, host, artifact, made, program, part, scratch / str(number))
            waiting[task] = part
        try:
            for task in as_completed(waiting):
                part, (ran, cycles) = waiting[task], task.result()
                program = programs[part.stop - part.start]
                for name, values in read_outputs(program, ran.outputs).items():
                    if name not in found:
                        found[name] = np.zeros((images, *values.shape[1:]), dtype=np.int64)
                    found[name][part] = values[: part.stop - part.start]
                for name, count in ran.counters.items():
                    counters[name] = counters.get(name, 0) + count
                planned += cycles
                done += part.stop - part.start
                progress(done)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    seconds = time.perf_counter() - began
    samples = artifact.samples
    differing = 0
    for name, values in found.items():
        known = samples.outputs.get(name)
        expected = samples.accumulators[name] if known is None else known
        differing += int((values != np.asarray(expected[:images])).sum())
    return Prediction(
        images, found, differing, len(parts), counters, planned, min(cores, len(parts)), seconds
    )


def _run(
    host: CompiledHost,
    artifact: Artifact,
    made: Plan,
    program: Program,
    part: slice,
    directory: Path,
) -> tuple[CompiledRun, int]:
    """Return what a run left, and its planned cycles."""
    inputs = input_memory(program, np.asarray(artifact.samples.inputs[part]))
    planned = made.cycles * program.images // made.batch
    patience = PATIENCE * planned + 100_000
    return host.run(program, inputs, directory, patience=patience), planned
