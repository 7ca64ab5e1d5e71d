"""Verilog of the hardware for other projects: source, testbench with vectors, descriptions."""
