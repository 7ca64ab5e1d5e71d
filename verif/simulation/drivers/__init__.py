"""cocotb modules that drive a simulated tile for a command; they are no tests."""
