"""Sizes and ports of the plane memories under test."""

from adq.rtl.platform.parameters import PlatformParameters
from adq.verif.cocotb.platform_sizes import SMALL

__all__ = ["PLANE_MEMORIES"]

PLANE_MEMORIES = {
    "plane_memory": SMALL,
    # Ports that meet in the same banks: of two clusters of two units, in four banks.
    "shared_plane_memory": PlatformParameters(
        rows=16,
        columns=16,
        stack=2,
        clusters=2,
        plane_memory_kib=1,
        plane_banks=4,
        accumulator_vectors=10,
        requantizers=2,
    ),
}
"""Parameters of the platform, by the name of the ports. A memory has as many ports of each kind as
the platform has units."""
