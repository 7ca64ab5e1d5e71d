"""The platform with its registers and its bus: random and broken programs, and a bus that fails."""

import json
import re
import subprocess
from dataclasses import replace

import pytest

from adq.golden.artifact import read_artifact
from adq.golden.conversion import converted
from adq.rtl.platform.parameters import PlatformParameters
from adq.verif.simulation.environment import platform_environment
from adq.verif.simulation.program_runs.model import build_platform
from adq.verif.simulation.program_runs.network import simulate_on_platform
from adq.verif.simulation.verilator.runner import verilator_folder
from adq.verif.verilog.platform_package import platform_files
from tests.places import MODELS

pytestmark = pytest.mark.testpoint("platform.host", "platform.bus", "platform.counters")


SMALL = PlatformParameters(
    rows=16,
    columns=16,
    plane_memory_kib=1,
    accumulator_vectors=16,
    requantizers=2,
    weight_buffer_kib=1,
)

FOUR = replace(SMALL, stack=2, tile_columns=2, weight_buffer_kib=2)
"""Two tiles on top of each other, by two side by side."""


def run(module, platform, directory):
    """Run a module of tests; returns how many there are."""
    tests, failures = build_platform(platform, MODELS).run(
        f"adq.verif.cocotb.host.{module}",
        directory=directory,
        environment=platform_environment(platform),
        seed=1,
    )
    assert not failures, (directory / "sim.log").read_text()[-4000:]
    return tests


def test_random_programs(tmp_path):
    assert run("test_programs", SMALL, tmp_path) == 7


@pytest.mark.testpoint("platform.faults")
@pytest.mark.parametrize(
    "platform",
    [SMALL, pytest.param(FOUR, marks=pytest.mark.slow)],
    ids=["one tile", "four tiles"],
)
def test_faults(platform, tmp_path):
    assert run("test_faults", platform, tmp_path) == 8


@pytest.mark.parametrize(
    "platform",
    [SMALL, pytest.param(FOUR, marks=pytest.mark.slow)],
    ids=["one tile", "four tiles"],
)
def test_lint_has_nothing_to_say_about_the_verilog_for_others(platform, tmp_path):
    files = platform_files(platform, version="1")
    source = tmp_path / "adq_platform.v"
    source.write_text(files["hdl/adq_platform.v"])
    lint = subprocess.run(
        [verilator_folder() / "verilator", "--lint-only", "-Wall", "--top-module", "adq_platform",
         source],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (lint.returncode, "%Warning" in lint.stderr) == (0, False), lint.stderr[:2000]
    written = json.loads(files["registers.json"])
    addresses = [each["address"] for each in written["registers"]]
    assert len(set(addresses)) == len(addresses)
    assert all(address % 4 == 0 for address in addresses)
    ports = re.findall(r"(?:input|output) (?:reg )?(?:\[.*?\] )?(\w+);", source.read_text())
    for name in ("m_axi_araddr", "m_axi_wstrb", "s_axi_awvalid", "aclk", "aresetn", "irq"):
        assert name in ports, name


@pytest.mark.slow
@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"stack": 3, "tile_columns": 2, "clusters": 2, "plane_banks": 8, "weight_buffer_kib": 6},
        {"clusters": 4, "weight_buffer_kib": 4},
        {"tile_columns": 3},
        {"stack": 2, "clusters": 3, "weight_buffer_kib": 6, "bus_bits": 64},
    ],
    ids=["1x1x1", "3x2x2", "1x1x4", "1x3x1", "2x1x3"],
)
@pytest.mark.parametrize(("module", "count"), [("test_programs", 7), ("test_faults", 8)])
def test_programs_on_several_tiles(module, count, sizes, tmp_path):
    assert run(module, replace(SMALL, **sizes), tmp_path) == count


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits/mixed", "resnet8"])
def test_checked_in_networks_from_one_start_to_one_interrupt(name, tmp_path):
    artifact = converted(read_artifact(f"golden/vectors/{name}")).artifact
    found = simulate_on_platform(
        artifact.network, artifact.samples.inputs, PlatformParameters(),
        directory=tmp_path, cache=MODELS,
    )  # fmt: skip
    assert found.agrees
    assert found.results
    assert found.run.write_beats * 16 >= 8 * found.results


@pytest.mark.slow
@pytest.mark.parametrize("bus_bits", [32, 64, 512])
def test_random_programs_on_other_buses(bus_bits, tmp_path):
    assert run("test_programs", replace(SMALL, bus_bits=bus_bits), tmp_path) == 7
