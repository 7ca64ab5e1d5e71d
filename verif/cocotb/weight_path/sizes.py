"""Sizes of the weight paths under test."""

from dataclasses import replace

from adq.verif.cocotb.platform_sizes import SMALL

__all__ = ["WEIGHT_PATHS"]

WEIGHT_PATHS = {
    "weight_path": replace(SMALL, weight_buffer_kib=1),
    "stacked_weight_path": replace(SMALL, weight_buffer_kib=1, stack=3, tile_columns=2, clusters=2),
    "spread_weight_path": replace(SMALL, weight_buffer_kib=1, clusters=4),
}
"""Parameters of the platform, by the name of the ports."""
