"""Names in the platform's Verilog: whoever reads a waveform needs them."""

import re

import pytest

from adq.rtl.parameters import TileParameters
from adq.rtl.platform.host.axi_platform import AxiPlatform
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.tile import Tile
from adq.rtl.verilog import ELABORATION, to_rtlil

SMALL = {"rows": 16, "columns": 16, "accumulator_vectors": 8, "requantizers": 1}

DESIGNS = {
    "tile": lambda: Tile(TileParameters(rows=4, columns=16)),
    "platform": lambda: AxiPlatform(PlatformParameters(**SMALL, stack=2, tile_columns=2)),
}


@pytest.mark.testpoint(reason="Readability of generated Verilog: no behaviour.")
@pytest.mark.parametrize("name", DESIGNS)
def test_every_signal_of_a_design_has_a_name(name):
    # Amaranth calls a signal so that it finds no name for, as in `a, b = Signal(), Signal()`.
    with ELABORATION:
        text = to_rtlil(DESIGNS[name](), name="top")
    assert re.findall(r"wire .*\\\$signal\S*", text) == []
    assert "wire" in text
