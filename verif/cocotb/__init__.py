"""cocotb benches and tests, one folder per block."""
