"""Synthesis: from the generated tile to the cells of a library, with area and static timing."""
