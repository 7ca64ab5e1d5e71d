"""Simulation model of the platform with its registers and its bus."""

import json
from dataclasses import asdict
from pathlib import Path

from adq.rtl.platform.host.platform import Platform
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.verilog import to_verilog
from adq.verif.simulation.simulator import Build, build

__all__ = ["build_platform", "environment_of"]


def build_platform(platform: PlatformParameters, cache: Path) -> Build:
    """Compile a platform, or find it in ``cache``.

    Raises
    ------
    adq.verif.simulation.simulator.SimulationError
        It cannot be compiled.

    """
    design = Platform(platform)
    return build(
        cache,
        top="platform",
        ports=["clk", "rst", *design.ports, "irq"],
        sources={"platform.v": to_verilog(design, name="platform")},
    )


def environment_of(platform: PlatformParameters) -> dict[str, str]:
    """Return the environment variables that tell simulations about the platform."""
    return {
        "ADQ_TILE": json.dumps(asdict(platform.tile)),
        "ADQ_PLATFORM": json.dumps(asdict(platform)),
    }
