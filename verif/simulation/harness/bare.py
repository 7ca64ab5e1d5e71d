"""Harness with a C++ ``main()``: the same compiled model, without cocotb."""

import json
from dataclasses import dataclass
from pathlib import Path

from adq.rtl.interface import Counter
from adq.verif.operands.jobs import Streams
from adq.verif.processes import run_to_end
from adq.verif.simulation.simulator import Build, SimulationError
from adq.verif.simulation.verilator.main_program import build_main

__all__ = ["BarePlay", "build_bare", "play_bare"]


@dataclass(frozen=True)
class BarePlay:
    """Cycles, times and counts of a play.

    Attributes
    ----------
    cycles : from the first to the last result's
    seconds, cpu_seconds : of wall clock and of the processor, from the first cycle to the last
    switching : words of the harness's ``switching`` output, the counts since the play began
    counters : what the tile's own counters counted, from the end of the play before
    """

    cycles: int
    seconds: float
    cpu_seconds: float
    switching: tuple[int, ...]
    counters: dict[Counter, int]


def build_bare(model: Build) -> Path:
    """Build a program from the objects that a cocotb run of the harness uses. It is compiled
    once.
    """
    return build_main(model, Path(__file__).with_name("bare.cpp"))


def play_bare(
    model: Build, streams: Streams, *, directory: Path, plays: int = 1, separate: bool = False
) -> list[BarePlay]:
    """Play streams several times. The results of the last play are in ``results.hex``. With
    ``separate``, weights load while nothing computes.

    Raises
    ------
    SimulationError
        If the tile hangs, or the program fails.
    """
    program = build_bare(model)
    directory.mkdir(parents=True, exist_ok=True)
    streams.write(directory)
    arguments = (streams.results, streams.patience, plays, int(separate))
    run = run_to_end([program.resolve(), *arguments], directory=directory)
    if run.returncode:
        raise SimulationError(f"{program.name} broke off ({run.returncode}): {run.stderr.strip()}")
    played = []
    for play in json.loads(run.stdout):
        if play.pop("hung"):
            raise SimulationError(f"the tile gave no result in {streams.patience} cycles")
        counters = dict(zip(Counter, play.pop("counters"), strict=True))
        switching = tuple(play.pop("switching"))
        played.append(BarePlay(counters=counters, switching=switching, **play))
    return played
