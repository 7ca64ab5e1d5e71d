"""The platform with its registers and its bus: random and broken programs, and a bus that fails."""

from dataclasses import replace

import pytest

from adq.rtl.platform.parameters import PlatformParameters
from adq.verif.simulation.platform_model import build_platform, environment_of
from tests.places import ROOT

pytestmark = pytest.mark.testpoint("platform.host", "platform.bus", "platform.counters")

MODELS = ROOT / "build" / "models"

SMALL = PlatformParameters(
    rows=16,
    columns=16,
    plane_memory_kib=1,
    accumulator_vectors=16,
    requantizers=2,
    weight_buffer_kib=1,
)


def run(module, platform, directory):
    """Run a module of tests; returns how many there are."""
    tests, failures = build_platform(platform, MODELS).run(
        f"adq.verif.cocotb.host.{module}",
        directory=directory,
        environment=environment_of(platform),
        seed=1,
    )
    assert not failures, (directory / "sim.log").read_text()[-4000:]
    return tests


def test_random_programs(tmp_path):
    assert run("test_programs", SMALL, tmp_path) == 3


@pytest.mark.testpoint("platform.faults")
def test_faults(tmp_path):
    assert run("test_faults", SMALL, tmp_path) == 8


@pytest.mark.slow
@pytest.mark.parametrize("bus_bits", [32, 64, 512])
def test_random_programs_on_other_buses(bus_bits, tmp_path):
    assert run("test_programs", replace(SMALL, bus_bits=bus_bits), tmp_path) == 3
