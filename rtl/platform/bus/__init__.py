"""Bus of the platform: AXI4 masters, and what fits their beats to other widths."""
