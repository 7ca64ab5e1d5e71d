"""Waveforms of a simulation as a figure."""
