"""Sizes of the accumulator memories under test."""

from adq.rtl.platform.parameters import PlatformParameters
from adq.verif.cocotb.platform_sizes import SMALL

__all__ = ["ACCUMULATOR_MEMORIES"]

ACCUMULATOR_MEMORIES = {
    "accumulator_memory": SMALL,
    # Requantizers that divide no number of outputs; lanes that end within the lowest memories.
    "uneven_accumulator_memory": PlatformParameters(
        rows=16, columns=48, accumulator_vectors=5, accumulator_bits=22, requantizers=5
    ),
    "wide_accumulator_memory": PlatformParameters(
        rows=32, columns=32, accumulator_vectors=4, accumulator_bits=64, requantizers=8
    ),
}
"""Parameters of the platform, by the name of the ports."""
