"""Energy on a platform, for people."""

from collections.abc import Sequence

from rich.table import Table

from adq.energy.coefficients import Coefficients
from adq.energy.platform.blocks import PlatformBlocks
from adq.energy.platform.model import PARTS, PlatformEnergy

__all__ = ["platform_notes", "platform_ratios", "platform_table"]


def platform_table(energy: PlatformEnergy) -> Table:
    """Return the energy of each step by part, in nJ an image."""
    table = Table(title=f"{energy.name}: nJ an image")
    table.add_column("layer")
    table.add_column("kw x kx", justify="right")
    for name in (*PARTS, "all", "bus, bytes"):
        table.add_column(name, justify="right")
    for step in energy.steps:
        table.add_row(
            step.node,
            f"{step.weight_bits} x {step.planes}",
            *(_nj(step.pj[name]) for name in PARTS),
            _nj(step.total),
            f"{step.bus_bytes:,.0f}",
        )
    table.add_section()
    table.add_row(
        "all",
        "",
        *(_nj(energy.part(name)) for name in PARTS),
        _nj(energy.total),
        f"{energy.bus_bytes:,.0f}",
        style="bold",
    )
    shares = (f"{energy.part(name) / energy.total:.0%}" for name in PARTS)
    table.add_row("share", "", *shares, "", "")
    return table


def platform_ratios(energies: Sequence[PlatformEnergy]) -> Table:
    """Return how many times the energy of the first network each takes: of the array, and of the
    whole platform.
    """
    table = Table(title="energy an image, uJ, and how many times the first")
    for name, side in (("network", "left"), ("array", "right"), ("whole platform", "right")):
        table.add_column(name, justify="left" if side == "left" else "right")
    first = energies[0]
    for each in energies:
        table.add_row(
            each.name,
            f"{each.array / 1e6:,.3f} ({each.array / first.array:.1f}x)",
            f"{each.total / 1e6:,.3f} ({each.total / first.total:.1f}x)",
        )
    return table


def platform_notes(blocks: PlatformBlocks, tile: Coefficients) -> str:
    """Say what figures are, and what is left out of them."""
    lines = [
        f"Tiles: {tile.library}{', weights in latches' if tile.latches else ''}.",
        f"Logic: measured at gate level in {blocks.library}, {blocks.voltage:.2f} V, "
        f"{blocks.temperature:g} C, without delays, on a platform of "
        f"{blocks.measured.rows}x{blocks.measured.columns}; memories: CACTI 7, 45 nm itrs-hp. "
        "Leakage, glitches, wires between blocks, the bus and DRAM are left out.",
    ]
    if blocks.other_revisions:
        lines.append(
            "Characterized on another revision of the RTL: " + ", ".join(blocks.other_revisions)
        )
    return "\n".join(lines)


def _nj(pj: float) -> str:
    return f"{pj / 1000:,.1f}"
