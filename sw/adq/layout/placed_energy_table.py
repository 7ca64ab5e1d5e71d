"""Energy of a placed tile as a table."""

from rich.table import Table

from adq.energy.gate_level.placed_figures import PlacedFigures

__all__ = ["conditions", "layout_rows", "placed_rows", "placed_table", "summary"]


def conditions(figures: PlacedFigures) -> str:
    """Tile, library and conditions in a line."""
    return (
        f"{figures.tile.name}, `{figures.library}`, {figures.voltage:.2f} V, "
        f"{figures.temperature:g} C, sized for {figures.period_ns:g} ns, half of the words zero, "
        f"utilization {figures.utilization:g}, seed {figures.seed}, nets "
        f"{'weighted by activity' if figures.activity else 'not weighted'}"
    )


def placed_rows(figures: PlacedFigures) -> list[list[str]]:
    """FJ a bit product after each step, a row a step and a column a precision."""
    steps = [figure.steps for figure in figures.figures]
    return [
        [step, *("" if each[step] is None else f"{each[step]:.2f}" for each in steps)]
        for step in steps[0]
        if any(each[step] is not None for each in steps)
    ]


def layout_rows(figures: PlacedFigures) -> list[list[str]]:
    """Area and timing, a column for each of the three netlists."""
    layouts = [figures.layouts[name] for name in ("wire load", "plain", "placed")]

    def told(value: float | None, digits: str) -> str:
        return "" if value is None else format(value, digits)

    return [
        ["cell area, um2", *(f"{sum(each.area_um2.values()):,.0f}" for each in layouts)],
        ["die, um2", *(told(each.die_um2, ",.0f") for each in layouts)],
        ["wire of a net, fF", *(f"{each.mean_wire_ff:.2f}" for each in layouts)],
        ["longest path, ns", *(f"{each.longest_path_ns:.3f}" for each in layouts)],
        ["worst hold slack, ns", *(told(each.worst_hold_slack_ns, "+.3f") for each in layouts)],
        ["hold violations", *(told(each.hold_violations, ",d") for each in layouts)],
        ["clock buffers", *(told(each.clock_buffers, ",d") for each in layouts)],
        ["insertion delay, ns", *(told(each.insertion_delay_ns, ".3f") for each in layouts)],
        ["skew, ns", *(told(each.skew_ns, ".3f") for each in layouts)],
    ]


def summary(figures: PlacedFigures) -> str:
    """Return a line on how placement and resizing change energy, and the density of the die."""

    def ratios(step: str) -> str:
        found = (
            sum(getattr(each, step).values()) / sum(each.wire_load.values())
            for each in figures.figures
        )
        return " / ".join(f"x{ratio:.2f}" for ratio in found)

    placed = figures.layouts["placed"]
    assert placed.die_um2 is not None
    bit_cells = figures.tile.rows * figures.tile.columns
    cells = f"{bit_cells / placed.die_um2 * 1e6:,.0f} bit cells (rows x columns) a mm2"
    clock = max(figures.period_ns, placed.longest_path_ns)
    # A bit product a ns and um2 is 1e15 a s and mm2.
    products = bit_cells / (clock * placed.die_um2) * 1e3
    operations = ", ".join(
        f"{2 * products / (each.weight_bits * each.activation_bits):.2f} "
        f"at {each.weight_bits}x{each.activation_bits}"
        for each in figures.figures
    )
    return (
        f"Over the wire load model: as mapped {ratios('plain')}, resized "
        f"{ratios('placed')}, clock tree apart. Density: {cells}; at {1e3 / clock:.0f} MHz, all "
        f"bit cells in use, two operations a MAC, {operations} bits, in TOPS a mm2."
    )


def placed_table(figures: PlacedFigures) -> Table:
    """The steps, for people."""
    placed = figures.layouts["placed"]
    table = Table(
        title=f"fJ a bit product, {figures.tile.name}, {figures.library}; longest "
        f"path as placed {placed.longest_path_ns:.3f} ns"
    )
    table.add_column("step")
    for figure in figures.figures:
        table.add_column(f"{figure.weight_bits}x{figure.activation_bits}", justify="right")
    for row in placed_rows(figures):
        table.add_row(*row)
    return table
