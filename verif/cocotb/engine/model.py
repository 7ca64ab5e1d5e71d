"""Simulation model of the engine."""

from pathlib import Path

from adq.rtl.platform.engine import Engine
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.verilog import to_verilog
from adq.verif.simulation.simulator import Build, build

__all__ = ["build_engine"]


def build_engine(platform: PlatformParameters, cache: Path, *, waves: bool = False) -> Build:
    """Compile an engine, or find it in ``cache``; with ``waves``, one that writes all signals."""
    engine = Engine(platform)
    paths = (path for path, _, _ in engine.signature.flatten(engine))
    return build(
        cache,
        top="engine",
        ports=["clk", "rst", *("__".join(map(str, path)) for path in paths)],
        sources={"engine.v": to_verilog(engine, name="engine")},
        arguments=["--trace-max-width", "0"] if waves else [],
        waves=waves,
    )
