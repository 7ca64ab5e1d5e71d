"""Measurement of the time to play recorded streams, for comparison with the bare model."""

import json
import os
from pathlib import Path

import cocotb

from adq.rtl.parameters import TileParameters
from adq.verif.simulation.drivers.player import Player
from adq.verif.simulation.testpoints import shows


@shows(reason="They hold the benches that measure the design, not the design.")
@cocotb.test()
async def timed_plays(dut):
    """Play the streams in the working directory, and write cycles and times to ``plays.json``."""
    specification = json.loads(os.environ["ADQ_PLAYS"])
    player = Player(dut, TileParameters(**specification["tile"]), words=specification["words"])
    await player.reset()
    plays = []
    for _ in range(specification["plays"]):
        played = await player.play_files(
            results=specification["results"], patience=specification["patience"]
        )
        plays.append(
            {
                "cycles": played.cycles,
                "seconds": played.seconds,
                "cpu_seconds": played.cpu_seconds,
            }
        )
    Path("plays.json").write_text(json.dumps(plays))
