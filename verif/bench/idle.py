"""Switching in a tile that has nothing to do."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from adq.rtl.parameters import TileParameters
from adq.rtl.pim_tile.counters import LOW_BITS
from adq.verif.operands.jobs import random_job, streams_of
from adq.verif.simulation.simulator import Build, SimulationError
from adq.verif.simulation.switching.activity import CountedDesign

__all__ = ["IdleWindow", "measure_idle"]

CYCLES = 1000


@dataclass(frozen=True)
class IdleWindow:
    """Switching of ``cycles`` cycles behind jobs at every precision, both banks full.

    Attributes
    ----------
    name : "at rest" or "with noise": whatever the rules of the streams leave open (payloads
        without valid, ready of the results) changes in every cycle
    idle_from, idle_to : the tile's counter of idle cycles, before and after
    toggles, clocked : of each block; see :mod:`adq.verif.simulation.switching.activity`
    """

    name: str
    cycles: int
    idle_from: int
    idle_to: int
    toggles: dict[str, int]
    clocked: dict[str, int]

    @property
    def unexplained_toggles(self) -> int:
        """Toggles besides those of the counter of idle cycles, a register that the bench reads, and
        of what its words become next.
        """
        # What toggles at the beginning of a cycle is counted at its end.
        counts = range(self.idle_from - 1, self.idle_to)
        counter = _toggles(counts)
        # What each part of it would become: its lowest bits, and those above.
        counter += _toggles(count % 2**LOW_BITS + 1 for count in counts)
        counter += _toggles((count >> LOW_BITS) + 1 for count in counts)
        return sum(self.toggles.values()) - counter - _toggles(counts)


def _toggles(values: Iterable[int]) -> int:
    """Return the bits that differ from one value to the next."""
    return sum((before ^ after).bit_count() for before, after in pairwise(values))


def measure_idle(
    model: Build, design: CountedDesign, parameters: TileParameters, *, directory: Path, seed: int
) -> list[IdleWindow]:
    """Count an idle tile's switching, at rest and with noise.

    Raises
    ------
    SimulationError
        If the simulation breaks off or the tile hangs.
    """
    rng = np.random.default_rng(seed)
    jobs = [
        random_job(parameters, rng, weight_bits=weight_bits, activation_bits=5, signed=True)
        for weight_bits in (*parameters.weight_widths, *parameters.weight_widths)
    ]
    streams = streams_of(parameters, jobs)
    # No job takes the last weights, one block a bank.
    run = streams_of(parameters, jobs[: -parameters.banks])
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    run.write(directory)
    streams.write_stream("weights", directory)
    specification = {
        "tile": asdict(parameters),
        "words": design.words,
        "results": run.results,
        "patience": run.patience,
        "cycles": CYCLES,
    }
    (directory / "idle.json").unlink(missing_ok=True)
    _, failures = model.run(
        "adq.verif.cocotb.idle.test_idle",
        directory=directory,
        environment={"ADQ_IDLE": json.dumps(specification)},
        seed=seed,
    )
    if failures:
        raise SimulationError(f"the tile did not become idle; see {directory / 'sim.log'}")
    windows = json.loads((directory / "idle.json").read_text())
    found = []
    for name, window in windows.items():
        blocks = design.counts_of(window["switching"]).blocks
        found.append(
            IdleWindow(
                name=name,
                cycles=CYCLES,
                idle_from=window["idle_from"],
                idle_to=window["idle_to"],
                toggles={block: counts["toggles"] for block, counts in blocks.items()},
                clocked={block: counts["clocked"] for block, counts in blocks.items()},
            )
        )
    return found
