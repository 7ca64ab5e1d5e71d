"""Area and clock of platforms: what is left out of the logic, and options that do not fit."""

import json
import re
from dataclasses import asdict, replace

import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.rtl.platform.host.platform import Platform
from adq.verif.cocotb.platform_sizes import SMALL
from adq.verif.synthesis.hierarchy.parts import cut
from adq.verif.synthesis.hierarchy.platform import BLOCKS, PARTS, memories_of
from tests.places import ROOT

pytestmark = pytest.mark.testpoint(reason="Area and timing: no contract of the hardware.")

PLATFORM = replace(SMALL, tile_columns=2, weight_buffer_kib=1)


def test_all_memories_are_told_by_hand():
    found = list(memories_of(cut(Platform(PLATFORM), PARTS, name="platform")))
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


@pytest.mark.slow
def test_a_platform_is_mapped(tmp_path):
    file = tmp_path / "small.toml"
    lines = [f"{name} = {number}" for name, number in asdict(PLATFORM).items()]
    file.write_text("\n".join(["[platform]", *lines]))
    liberty = ROOT / "tests" / "liberty" / "tiny.lib"
    options = ["--liberty", str(liberty), "--platform", str(file), "--out", str(tmp_path)]
    result = CliRunner().invoke(main, ["synth", *options])
    assert result.exit_code == 0, result.output
    kept = json.loads((tmp_path / "synth.json").read_text())
    assert set(BLOCKS) - set(kept["blocks"]) <= {"stack adders", "shares"}
    bits = {block: each["bits"] for block, each in kept["memories"].items()}
    assert bits["plane memory"] == 8 * 1024
    # Weights of two tiles, and what stands in front of them, are flip-flops.
    assert kept["blocks"]["tiles"]["flip_flops"] > 2 * PLATFORM.rows * PLATFORM.columns
    assert kept["longest_path_ns"] >= max(
        each["longest_path_ns"] or 0 for each in kept["blocks"].values()
    )
