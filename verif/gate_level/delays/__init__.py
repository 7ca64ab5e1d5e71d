"""Simulation of netlists with delays: glitches, and Icarus Verilog beside it."""
