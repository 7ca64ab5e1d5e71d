"""Simulation of the tile under cocotb: builds, harness, counting of every net."""
