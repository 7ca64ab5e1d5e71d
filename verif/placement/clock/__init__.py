"""The clock of a placed netlist: its tree, useful skew and hold slack."""
