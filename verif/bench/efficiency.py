"""How busy the array is: bit products done / (cycles * rows * columns)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adq.rtl.interface import Counter
from adq.rtl.parameters import TileParameters
from adq.verif.operands.beats import results_of
from adq.verif.operands.jobs import Job, streams_of
from adq.verif.simulation.harness.bare import BarePlay, play_bare
from adq.verif.simulation.simulator import Build

__all__ = ["Efficiency", "LoadEdge", "measure_efficiencies", "measure_load_edges"]

VECTORS = 64
"""Vectors of a job, which is a weight load."""

JOBS = 32
"""Jobs that follow each other."""

BLOCKS = 16
"""Weight loads of a run that looks for waits."""


@dataclass(frozen=True)
class Efficiency:
    """Jobs of one precision, back to back, none of whose planes is empty.

    Attributes
    ----------
    bit_products : products of a weight bit and an activation bit, rows * columns a plane
    cycles : from the first beat offered to the last result, measured; the first weights' load,
        which nothing hides, and the empty pipeline at the end included
    formula_cycles : the same by :meth:`adq.rtl.parameters.TileParameters.sequence_cycles`
    running, busy : by the tile's own counters, cycles in which the array worked, and in which
        there was a job
    wrong_results : results that differ from the products by NumPy
    """

    weight_bits: int
    activation_bits: int
    bit_products: int
    cycles: int
    formula_cycles: int
    running: int
    busy: int
    wrong_results: int
    by_cycles: float
    by_counters: float


@dataclass(frozen=True)
class LoadEdge:
    """Fewest vectors a weight load with which the array never waits for weights: found by running
    ever fewer, and by :meth:`adq.rtl.parameters.TileParameters.least_vectors`.
    """

    activation_bits: int
    row_blocks: int
    measured: int
    formula: int


def full_job(parameters, rng, *, weight_bits, activation_bits, vectors, row_blocks=1) -> Job:
    """Return random operands, the first word of each vector all ones: no plane is empty, none
    skipped.
    """
    high = 2 ** (weight_bits - 1)
    weights = rng.integers(
        -high, high, (row_blocks, parameters.rows, parameters.outputs(weight_bits))
    )
    activations = rng.integers(0, 2**activation_bits, (row_blocks, vectors, parameters.rows))
    activations[:, :, 0] = 2**activation_bits - 1
    return Job(weight_bits, activation_bits, False, weights, activations)


def measure_efficiencies(
    model: Build,
    parameters: TileParameters,
    *,
    directory: Path,
    seed: int,
    progress: Callable[[str], None],
) -> Iterator[Efficiency]:
    """Yield the efficiency of every pair of precisions."""
    rng = np.random.default_rng(seed)
    for weight_bits in parameters.weight_widths:
        for activation_bits in range(1, parameters.max_activation_bits + 1):
            progress(f"efficiency of {weight_bits} x {activation_bits} bits")
            jobs = [
                full_job(
                    parameters,
                    rng,
                    weight_bits=weight_bits,
                    activation_bits=activation_bits,
                    vectors=VECTORS,
                )
                for _ in range(JOBS)
            ]
            [play] = play_bare(model, streams_of(parameters, jobs), directory=directory)
            results = results_of(parameters, (directory / "results.hex").read_text())
            expected = np.concatenate([job.activations[0] @ job.weights[0] for job in jobs])
            yield efficiency_of(
                parameters,
                jobs,
                play,
                wrong_results=int((results.outputs(weight_bits) != expected).sum()),
            )


def efficiency_of(
    parameters: TileParameters, jobs: list[Job], play: BarePlay, *, wrong_results: int
) -> Efficiency:
    """Return the figures of jobs of a single row block each, all of the same precision."""
    weight_bits, activation_bits = jobs[0].weight_bits, jobs[0].activation_bits
    planes = [job.planes() for job in jobs]
    array = parameters.rows * parameters.columns
    products = sum(map(sum, planes)) * array
    running = play.counters[Counter.RUNNING]
    idle = (Counter.IDLE, Counter.PLANES_SKIPPED, Counter.JOBS_DONE)
    busy = sum(cycles for counter, cycles in play.counters.items() if counter not in idle)
    return Efficiency(
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        bit_products=products,
        cycles=play.cycles,
        formula_cycles=parameters.sequence_cycles(
            [(weight_bits, [parameters.block_cycles(p)]) for p in planes]
        ),
        running=running,
        busy=busy,
        wrong_results=wrong_results,
        by_cycles=products / (play.cycles * array),
        # An empty plane takes its cycle, and is among those passed over.
        by_counters=(running - play.counters[Counter.PLANES_SKIPPED]) / busy,
    )


def measure_load_edges(
    model: Build,
    parameters: TileParameters,
    *,
    directory: Path,
    seed: int,
    progress: Callable[[str], None],
) -> Iterator[LoadEdge]:
    """Yield the edge for every number of activation bits, with a job a block and in jobs of
    many.
    """
    rng = np.random.default_rng(seed)

    def waits(activation_bits: int, vectors: int, row_blocks: int, jobs: int) -> int:
        """Return cycles for which the array waits for weights."""
        job = full_job(
            parameters,
            rng,
            weight_bits=parameters.weight_widths[0],
            activation_bits=activation_bits,
            vectors=vectors,
            row_blocks=row_blocks,
        )
        [play] = play_bare(model, streams_of(parameters, [job] * jobs), directory=directory)
        return play.counters[Counter.STALLED_ON_WEIGHTS]

    for row_blocks in sorted({1, min(BLOCKS, parameters.row_blocks)}):
        for activation_bits in range(1, parameters.max_activation_bits + 1):
            progress(f"least vectors of {activation_bits} bits, {row_blocks} row blocks")
            formula = parameters.least_vectors(activation_bits, row_blocks=row_blocks)
            first_load = waits(activation_bits, 1, 1, 1)
            vectors = formula + 1
            while vectors and (
                waits(activation_bits, vectors, row_blocks, BLOCKS // row_blocks) == first_load
            ):
                vectors -= 1
            yield LoadEdge(activation_bits, row_blocks, vectors + 1, formula)
