"""Activity of every net in each window of a run: SAIF files, and sums by block.

The windows do not overlap: a block of weights is loaded while nothing computes, and computes while
nothing loads (`separate` of ``tile_harness.sv``). A tile that does both at once
moves the same registers by the same amounts, in fewer cycles.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from adq.golden.files.json_reader import JsonObject
from adq.rtl.parameters import TileParameters
from adq.verif.operands.jobs import Job, streams_of
from adq.verif.simulation.simulator import Build, SimulationError
from adq.verif.simulation.switching.activity import CountedDesign
from adq.verif.simulation.switching.net_counters import INPUTS, WINDOWS, WindowCounts
from adq.verif.simulation.switching.saif import NetActivity, Saif, write_saif

__all__ = ["PERIOD", "check_sums", "count_jobs", "saif_of", "window_sums", "write_windows"]

PERIOD = 2
"""Length of a cycle in the harness, in ns; the clock is high for half of it."""

CLOCK: tuple[str, ...] = ("clk",)


def count_jobs(
    model: Build,
    design: CountedDesign,
    parameters: TileParameters,
    jobs: Sequence[Job],
    *,
    directory: Path,
    separate: bool = True,
    waves: bool = False,
) -> dict[str, WindowCounts]:
    """Run jobs on a tile whose nets are counted, and return the counts by window.

    Parameters
    ----------
    separate
        Load weights while nothing computes. Otherwise loading counts as computing.
    waves
        Write ``dump.vcd``, too, with a model that can.

    Raises
    ------
    SimulationError
        If the simulation breaks off or the tile hangs.
    """
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    streams = streams_of(parameters, jobs)
    streams.write(directory)
    specification = {
        "tile": asdict(parameters),
        "words": design.words,
        "separate": separate,
        "results": streams.results,
        "patience": streams.patience,
    }
    _, failures = model.run(
        "adq.verif.simulation.drivers.windows",
        directory=directory,
        environment={"ADQ_WINDOWS": json.dumps(specification)},
        seed=1,
        waves=waves,
    )
    if failures:
        raise SimulationError(f"the jobs did not run to their end; see {directory / 'sim.log'}")
    counts = design.net_counters.read((directory / "jobs.counts").read_text())
    return counts | {
        "reset": design.net_counters.read((directory / "reset.counts").read_text())["reset"]
    }


def write_windows(
    design: CountedDesign, dump: str, *, directory: Path, name: str, design_name: str
) -> dict[str, JsonObject]:
    """Write a SAIF file for each window of a dump that has any cycles, except the idle window.

    Returns
    -------
    dict
        By window: ``cycles``, ``saif`` (the file), and ``blocks``, see :func:`window_sums`.
    """
    counts = design.net_counters.read(dump)
    windows = {}
    for window in WINDOWS:
        if counts[window].cycles:
            file = directory / f"{name}-{window}.saif"
            if window != WINDOWS[0]:
                write_saif(file, saif_of(counts[window], design=design_name))
            windows[window] = {
                "cycles": counts[window].cycles,
                "saif": None if window == WINDOWS[0] else str(file),
                "blocks": window_sums(design, counts[window]),
            }
    return windows


def saif_of(counts: WindowCounts, *, design: str) -> Saif:
    """Convert a window to SAIF, including the clock."""
    nets = {CLOCK: NetActivity(counts.cycles * PERIOD // 2, 2 * counts.cycles)}
    nets |= {
        net: NetActivity(high * PERIOD, counts.toggles[net]) for net, high in counts.high.items()
    }
    return Saif(design, counts.cycles * PERIOD, nets)


def window_sums(design: CountedDesign, counts: WindowCounts) -> dict[str, dict[str, int]]:
    """Return toggles and clocked register bits by block. Nets driven from outside are listed under
    ``inputs``.
    """
    sums = {block: {"toggles": 0, "clocked": 0} for block in (*design.blocks, INPUTS)}
    for net, block in design.net_counters.blocks.items():
        sums[block]["toggles"] += counts.toggles[net]
    for block, clocked in counts.clocked.items():
        sums[block]["clocked"] += clocked
    return sums


def check_sums(
    layer: str, windows: Mapping[str, JsonObject], switching: Mapping[str, Mapping[str, int]]
) -> None:
    """Compare the toggles of all nets in all windows with independent counters of whole blocks.

    Control is left out: its counter of idle cycles goes on between the two readings.

    Raises
    ------
    SimulationError
        If they differ: a net was dropped or counted twice.
    """
    for block in switching.keys() - {"control"}:
        summed = sum(window["blocks"][block]["toggles"] for window in windows.values())
        flat = switching[block]["toggles"]
        if summed != flat:
            raise SimulationError(
                f"{layer}: the nets of {block} toggle {summed} times, the block {flat} times"
            )
