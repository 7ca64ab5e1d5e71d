"""Figures of the hardware, measured, beside their targets."""
