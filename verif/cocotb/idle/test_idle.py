"""Measurement of the switching of an idle tile with weights in both banks."""

import json
import os
from pathlib import Path

import cocotb
from cocotb.triggers import Timer

from adq.rtl.interface import Counter
from adq.rtl.parameters import TileParameters
from adq.verif.simulation.drivers.player import Player
from adq.verif.simulation.testpoints import shows


@shows("tile.idle")
@cocotb.test()
async def idle_window(dut):
    """Count switching in two idle windows after jobs, and write the counts to ``idle.json``.

    In the first window all inputs are stable. In the second, all inputs toggle that may change
    under the stream rules.
    """
    specification = json.loads(os.environ["ADQ_IDLE"])
    tile, cycles = TileParameters(**specification["tile"]), specification["cycles"]
    player = Player(dut, tile, words=specification["words"])
    await player.reset()
    await player.play_files(results=specification["results"], patience=specification["patience"])
    dut.counter_address.value = Counter.IDLE
    # Wait until the remaining weights are loaded.
    await Timer(2 * (tile.banks * tile.weight_beats + 10), "ns")
    windows = {}
    for name, noise in (("at rest", 0), ("with noise", 1)):
        dut.noise.value = noise
        await Timer(8, "ns")
        before, idle_before = player.counts(), int(dut.counter_data.value)
        await Timer(2 * cycles, "ns")
        switching = [int(count) for count in player.counts() - before]
        idle = int(dut.counter_data.value)
        windows[name] = {
            "idle_from": idle_before,
            "idle_to": idle,
            "switching": switching,
        }
    Path("idle.json").write_text(json.dumps(windows))
