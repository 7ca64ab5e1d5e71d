"""Energy at gate level: characterization of a tile, and whole networks on its netlist."""
