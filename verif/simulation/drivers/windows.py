"""Counts every net of a tile that runs the jobs whose files lie in the working directory."""

import json
import os
from pathlib import Path

import cocotb

from adq.rtl.parameters import TileParameters
from adq.verif.simulation.drivers.player import Dut, Player
from adq.verif.simulation.testpoints import shows


@shows(reason="Switching, how it is counted and what it takes: figures about the design.")
@cocotb.test()
async def counted_jobs(dut: Dut) -> None:
    """Reset, then the jobs; counts of both are left in ``reset.counts`` and ``jobs.counts``."""
    specification = json.loads(os.environ["ADQ_WINDOWS"])
    tile = TileParameters(**specification["tile"])
    player = Player(dut, tile, words=specification["words"], separate=specification["separate"])
    await player.reset()
    Path("reset.counts").write_text(await player.dump())
    await player.play_files(results=specification["results"], patience=specification["patience"])
    Path("jobs.counts").write_text(await player.dump())
