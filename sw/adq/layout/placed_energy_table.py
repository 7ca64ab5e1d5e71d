"""Energy of a placed tile as a table."""

from rich.table import Table

from adq.layout.placed_energy import PlacedFigures

__all__ = ["placed_rows", "placed_table"]


def placed_rows(figures: PlacedFigures) -> list[list[str]]:
    """FJ a bit product after each step, a row a step and a column a precision."""
    steps = [figure.steps for figure in figures.figures]
    return [
        [step, *("" if each[step] is None else f"{each[step]:.2f}" for each in steps)]
        for step in steps[0]
        if any(each[step] is not None for each in steps)
    ]


def placed_table(figures: PlacedFigures) -> Table:
    """The steps, for people."""
    placed = figures.layouts["placed"]
    table = Table(
        title=f"fJ a bit product, {figures.rows}x{figures.columns}, {figures.library}; longest "
        f"path as placed {placed.longest_path_ns:.3f} ns"
    )
    table.add_column("step")
    for figure in figures.figures:
        table.add_column(f"{figure.weight_bits}x{figure.activation_bits}", justify="right")
    for row in placed_rows(figures):
        table.add_row(*row)
    return table
