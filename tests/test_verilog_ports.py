"""The regression's tests of the tile's ports, on the Verilog that is written for others."""

import pytest
from verilog_shim import tile_behind_streams

from adq.rtl.axi_stream import AxiStreamTile
from adq.rtl.parameters import TileParameters
from adq.verif.signoff.regression.runs import PORTS, Bench, Run, environment_of
from adq.verif.simulation.simulator import build
from adq.verif.verilog.portable import portable_verilog

pytestmark = [pytest.mark.testpoint("tile.verilog"), pytest.mark.slow]

SIZES = {
    "16x16": TileParameters(rows=16, columns=16),
    "5x48": TileParameters(rows=5, columns=48, row_blocks=3, partial_sums=7, vectors=9),
}


@pytest.mark.parametrize("size", SIZES)
def test_port_tests_pass_whatever_registers_and_memories_hold_at_power_up(size, tmp_path):
    tile = SIZES[size]
    model = build(
        tmp_path / "models",
        top="tile",
        ports=PORTS,
        sources={
            "adq_tile.v": portable_verilog(AxiStreamTile(tile), name="adq_tile"),
            "tile.v": tile_behind_streams(tile),
        },
        arguments=["--x-assign", "unique", "--x-initial", "unique"],
    )
    for seed in (1, 2, 3):
        tests, failures = model.run(
            "adq.verif.cocotb.tile.test_tile",
            directory=tmp_path / f"seed{seed}",
            environment=environment_of(Run(Bench.TILE, tile=tile, seed=seed)),
            seed=seed,
            plusargs=["+verilator+rand+reset+2", f"+verilator+seed+{seed}"],
        )
        assert tests > 50
        assert failures == 0, f"see {tmp_path / f'seed{seed}' / 'sim.log'}"
