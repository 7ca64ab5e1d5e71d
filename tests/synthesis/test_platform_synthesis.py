"""Area and clock of platforms: what is left out of the logic, and options that do not fit."""

import re
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.rtl.platform.host.platform import Platform
from adq.rtl.verilog import ELABORATION, to_rtlil
from adq.verif.cocotb.platform_sizes import SMALL
from adq.verif.synthesis.platform import memories_of

pytestmark = pytest.mark.testpoint(reason="Area and timing: no contract of the hardware.")

PLATFORM = replace(SMALL, tile_columns=2, weight_buffer_kib=1)


def test_all_memories_are_told_by_hand():
    with ELABORATION:
        found = list(memories_of(to_rtlil(Platform(PLATFORM), name="platform")))
    bits: dict[str, int] = {}
    for each in found:
        block = re.sub(r"(\.half_.*)?\.\w+$", "", each.path)
        bits[block] = bits.get(block, 0) + each.bits
    assert bits["engine.memory"] == 8 * 1024
    for column in range(2):
        # Two halves of a kibibyte.
        assert bits[f"weights.columns.buffer_{column}"] == 2 * 8 * 1024
        # 10 vectors in two halves, of 8 lanes: those of 2 bits have 34, of 4 bits 36, and so on.
        lanes = 4 * 34 + 2 * 36 + 40 + 48
        assert bits[f"engine.unit_0_0.accumulators_{column}"] == 2 * 10 * lanes
        # Two groups of 8 outputs, of 96 bits each.
        assert bits[f"engine.unit_0_0.drain_{column}.parameters"] == 2 * 8 * 96
    assert not any("tile_" in each.path for each in found)
    # Halves of accumulator memories read or write; other memories have an address for each.
    ports = {each.ports for each in found if "accumulators_" in each.path}
    others = {each.ports for each in found if "accumulators_" not in each.path}
    assert (ports, others) == ({"1RW"}, {"1R1W"})


@pytest.mark.parametrize(
    "options", [["--rows", "32"], ["--buffer"], ["--part", "engine"], ["--paths", "3"]]
)
def test_options_of_a_tile_are_refused_on_a_platform(options, tmp_path):
    liberty = tmp_path / "cells.lib"
    result = CliRunner().invoke(
        main, ["synth", "--liberty", str(liberty), "--platform", "tile1", *options]
    )
    assert result.exit_code == 2
    assert f"--platform takes no {options[0]}" in result.stderr
