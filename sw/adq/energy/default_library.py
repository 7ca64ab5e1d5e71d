"""The cell library whose coefficients tell energies where no other is named."""

__all__ = ["LIBRARY"]

LIBRARY = "nangate45"
