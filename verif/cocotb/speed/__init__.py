"""Speed of simulation under cocotb."""
