"""Plays streams through the tile's harness, without Python in the clock cycles."""

import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from cocotb.triggers import RisingEdge, Timer

from adq.rtl.parameters import TileParameters
from adq.verif.operands.beats import Results, results_of
from adq.verif.operands.jobs import Streams

__all__ = ["Dut", "Played", "Player"]

Dut = Any
"""The design under test; which ports it has, only the simulation knows."""


@dataclass(frozen=True)
class Played:
    """Result of a play.

    Attributes
    ----------
    parameters, lines : the tile, and its results as it wrote them
    cycles : from the first to the last result's, the harness's start included
    switching : words of the harness's ``switching`` output, the counts since the play began
    seconds, cpu_seconds : of wall clock and of the processor, from the first cycle to the last
    """

    parameters: TileParameters
    lines: str
    cycles: int
    switching: list[int]
    seconds: float
    cpu_seconds: float

    @cached_property
    def results(self) -> Results:
        """Results of all beats."""
        return results_of(self.parameters, self.lines)


class Player:
    """Drives ``tile_harness.sv``, with the stream files in the working directory.

    With ``separate``, blocks of weights load while nothing computes.
    """

    def __init__(
        self,
        dut: Dut,
        parameters: TileParameters,
        words: int,
        *,
        separate: bool = False,
    ) -> None:
        self.dut = dut
        self.separate = separate
        self.dumped = 0
        self.parameters = parameters
        self.words = words

    async def reset(self) -> None:
        """Reset the tile."""
        self.dut.start.value = 0
        self.dut.noise.value = 0
        self.dut.dump.value = 0
        self.dut.separate.value = int(self.separate)
        self.dut.counter_address.value = 0
        self.dut.reset.value = 1
        await Timer(10, "ns")
        self.dut.reset.value = 0
        await Timer(10, "ns")

    def counts(self) -> np.ndarray:
        """Read the switching counters."""
        value = int(self.dut.switching.value)
        return np.frombuffer(value.to_bytes(8 * self.words, "little"), "<u8").astype(object)

    async def dump(self) -> str:
        """Return what every net did since the dump before, or from the start; see
        :mod:`adq.verif.simulation.switching.net_counters`.
        """
        self.dut.dump.value = 1
        await Timer(6, "ns")
        self.dut.dump.value = 0
        await Timer(6, "ns")
        with Path("activity.txt").open() as file:
            file.seek(self.dumped)
            text = file.read()
            self.dumped = file.tell()
        return text

    def streams(self) -> str:
        """Return the state of each stream, for a message."""
        valid, ready, moved = (
            int(getattr(self.dut, f"streams_{name}").value) for name in ("valid", "ready", "beats")
        )
        return "; ".join(
            f"{name} has moved {moved >> 32 * place & (2**32 - 1)} beats, "
            f"valid {valid >> place & 1}, ready {ready >> place & 1}"
            for place, name in enumerate(("jobs", "weights", "activations", "results"))
        )

    async def play(self, streams: Streams) -> Played:
        """Play streams until all of their results have come.

        Raises
        ------
        AssertionError
            If the tile hangs.
        """
        streams.write(Path())
        return await self.play_files(results=streams.results, patience=streams.patience)

    async def play_files(self, *, results: int, patience: int) -> Played:
        """Play the streams whose files lie in the working directory; see :meth:`play`."""
        before = self.counts()
        self.dut.expected.value = results
        self.dut.patience.value = patience
        seconds, cpu_seconds = time.perf_counter(), time.process_time()
        self.dut.start.value = 1
        await Timer(6, "ns")
        self.dut.start.value = 0
        if not int(self.dut.done.value):
            await RisingEdge(self.dut.done)
        seconds, cpu_seconds = time.perf_counter() - seconds, time.process_time() - cpu_seconds
        # The pipeline is empty and idle now, so that nothing is counted between plays.
        await Timer(10, "ns")
        hung = int(self.dut.hung.value)
        assert not hung, f"hangs: no result in {patience:,} cycles: {self.streams()}"
        counts = self.counts() - before
        return Played(
            parameters=self.parameters,
            lines=Path("results.hex").read_text(),
            cycles=int(self.dut.cycles.value),
            switching=[int(count) for count in counts],
            seconds=seconds,
            cpu_seconds=cpu_seconds,
        )
