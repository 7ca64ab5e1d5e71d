"""Plays the streams of a network's layers through the tile, and stores the results.

The streams of a layer lie in the folder of its name, and its results go there; what calls the
simulation compares them, see :mod:`adq.verif.simulation.network_simulation`.
"""

import json
import os
from pathlib import Path

import cocotb

from adq.rtl.parameters import TileParameters
from adq.verif.simulation.drivers.player import Dut, Player
from adq.verif.simulation.results import COUNTS, LAYERS
from adq.verif.simulation.testpoints import shows

STREAMS = ("jobs", "weights", "activations")


def place(folder: Path) -> None:
    """Link the streams of a layer to the places from which the harness reads them."""
    for stream in STREAMS:
        link = Path(f"{stream}.bin")
        link.unlink(missing_ok=True)
        link.symlink_to(folder / link.name)


@shows("networks.on_the_tile")
@cocotb.test()
async def every_layer(dut: Dut) -> None:
    """Every layer gives all of its results; cycles and switching are left in ``plays.json``."""
    specification = json.loads(os.environ["ADQ_NETWORK"])
    # With every net counted, in windows that do not overlap.
    windows = specification["windows"]
    tile = TileParameters(**specification["tile"])
    player = Player(dut, tile, words=specification["words"], separate=windows)
    await player.reset()
    if windows:
        Path(COUNTS).write_text(await player.dump())
    plays = []
    for layer in specification["layers"]:
        folder = LAYERS / layer["name"]
        place(folder)
        played = await player.play_files(results=layer["results"], patience=layer["patience"])
        Path("results.hex").rename(folder / "results.hex")
        if windows:
            (folder / COUNTS).write_text(await player.dump())
        plays.append({"cycles": played.cycles, "switching": played.switching})
        Path(specification["progress"]).write_text(layer["name"])
    Path("plays.json").write_text(json.dumps(plays))
