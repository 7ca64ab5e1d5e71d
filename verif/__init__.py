"""Simulation: the runner, activity counting, and cocotb tests of every block."""
