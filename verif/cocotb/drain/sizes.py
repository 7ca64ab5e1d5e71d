"""Sizes of the drains and plane writers under test."""

from adq.rtl.platform.parameters import PlatformParameters
from adq.verif.cocotb.platform_sizes import SMALL

__all__ = ["DRAINS", "WRITERS"]

DRAINS = {
    "drain": SMALL,
    # Requantizers that divide no number of outputs, and outputs that span words.
    "uneven_drain": PlatformParameters(
        rows=16, columns=48, plane_memory_kib=1, accumulator_vectors=9, requantizers=5
    ),
    "serial_drain": PlatformParameters(
        rows=32, columns=16, plane_memory_kib=2, accumulator_vectors=6, requantizers=1
    ),
}
"""Parameters of the platform, by the name of the ports."""

WRITERS = {name.replace("drain", "plane_writer"): sizes for name, sizes in DRAINS.items()}
"""Parameters of their plane writers, likewise."""
