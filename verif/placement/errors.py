"""The error that placement raises."""

__all__ = ["PlacementError"]


class PlacementError(ValueError):
    """A library, netlist or option with which no placement can be made."""
