"""Environment variables that tell cocotb tests the sizes of their design."""

import json
from dataclasses import asdict

from adq.rtl.parameters import TileParameters
from adq.rtl.platform.parameters import PlatformParameters

__all__ = ["platform_environment", "tile_environment"]


def tile_environment(tile: TileParameters) -> dict[str, str]:
    """Return the variables for tests of a tile or of its blocks."""
    return {"ADQ_TILE": json.dumps(asdict(tile))}


def platform_environment(platform: PlatformParameters) -> dict[str, str]:
    """Return the variables for tests of a platform or of its engine."""
    return tile_environment(platform.tile) | {"ADQ_PLATFORM": json.dumps(asdict(platform))}
