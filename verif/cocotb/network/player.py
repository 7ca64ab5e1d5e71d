"""Plays streams through the tile's harness; no Python runs while it computes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cocotb.triggers import RisingEdge, Timer

from rtl.parameters import TileParameters
from verif.beats import Results, results_of

__all__ = ["Played", "Player"]


@dataclass(frozen=True)
class Played:
    """What came of a play.

    Attributes
    ----------
    results : of every beat
    cycles : from the first to the last result's, the harness's start included
    switching : value of the harness's ``switching`` output, the counts since the play began
    """

    results: Results
    cycles: int
    switching: int


class Player:
    """Drives :file:`verif/harness/tile_harness.sv`, whose files lie in the working directory."""

    def __init__(self, dut, parameters: TileParameters, words: int):
        self.dut = dut
        self.parameters = parameters
        self.words = words

    async def reset(self):
        """Reset the tile."""
        self.dut.start.value = 0
        self.dut.reset.value = 1
        await Timer(10, "ns")
        self.dut.reset.value = 0
        await Timer(10, "ns")

    def counts(self) -> np.ndarray:
        """The switching counters."""
        value = int(self.dut.switching.value)
        return np.frombuffer(value.to_bytes(8 * self.words, "little"), "<u8").astype(object)

    async def play(
        self,
        *,
        jobs: np.ndarray,
        weights: np.ndarray,
        activations: np.ndarray,
        expected: int,
        patience: int,
    ) -> Played:
        """Play beats, bytes of shape (beats, bytes), until ``expected`` results have come.

        The tile counts as hung if it gives none for ``patience`` cycles.

        Raises
        ------
        AssertionError
            If the tile hangs.
        """
        for name, beats in (("jobs", jobs), ("weights", weights), ("activations", activations)):
            Path(f"{name}.bin").write_bytes(np.ascontiguousarray(beats[:, ::-1]).tobytes())
        before = self.counts()
        self.dut.expected.value = expected
        self.dut.patience.value = patience
        self.dut.start.value = 1
        await Timer(6, "ns")
        self.dut.start.value = 0
        if not int(self.dut.done.value):
            await RisingEdge(self.dut.done)
        # The pipeline is empty and idle now, so that nothing is counted between plays.
        await Timer(10, "ns")
        assert not int(self.dut.hung.value), f"no result in {patience} cycles"
        counts = self.counts() - before
        return Played(
            results=results_of(self.parameters, Path("results.hex").read_text()),
            cycles=int(self.dut.cycles.value),
            switching=sum(int(count) << (64 * i) for i, count in enumerate(counts)),
        )
