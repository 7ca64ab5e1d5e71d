"""Measurement of the simulation speed under cocotb."""
