"""Windows of a layer that are a unit's."""

from amaranth.lib import data

__all__ = ["WINDOW_BITS", "share_layout"]

WINDOW_BITS = 30
"""Bits of a count of pooling windows, each of which has a result in a memory."""


def share_layout() -> data.StructLayout:
    """Return the layout of which pooling windows of a layer are a unit's."""
    return data.StructLayout(
        {
            "before": WINDOW_BITS,  # windows before the unit's first one
            "behind": WINDOW_BITS,  # windows of the unit behind that
            "pixels": WINDOW_BITS,  # windows of an image
        }
    )
