"""From the mapped netlist to a placed one: floorplan, placement, wires, clock tree."""
