"""From the generated tile to a library's own cells: netlist, area, static timing."""
