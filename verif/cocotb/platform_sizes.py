"""Sizes of the platform whose blocks are tested."""

from adq.rtl.platform.parameters import PlatformParameters

__all__ = ["SMALL"]

SMALL = PlatformParameters(
    rows=16,
    columns=16,
    plane_memory_kib=1,
    plane_banks=2,
    accumulator_vectors=10,
    requantizers=2,
)
"""One tile of 16x16, whose tests are short."""
