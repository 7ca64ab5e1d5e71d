"""The array: weight storage, column counters, bit-plane feeder and control."""
