"""Verilator: cocotb's runner for it, and programs around compiled models."""
