"""Costs as tables and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from adq.cost.models import BASELINE_BITS, PIM_FJ_PER_MAC
from adq.cost.work import NetworkWork

_TOTALS = ("macs", "mac_bits", "bit_operations", "analytical_pj", "pim_pj")
"""Properties of ``LayerWork`` that are summed over the layers."""

_SHOWN = tuple(quantity for quantity in _TOTALS if quantity != "mac_bits")
"""Columns of the table."""

BASELINE = f"at {BASELINE_BITS} bits"
"""Label of the baseline row of a table."""

_TABLE = ", ".join(f"{energy} at {bits}" for bits, energy in PIM_FJ_PER_MAC.items())
SOURCES = (
    "All figures are for one image. k is the number of bits of a MAC. Bit ops are products of one "
    "weight bit and one activation bit. MAC reduction is the sum of bits over all MACs at 16 bits, "
    "divided by the same sum for this network.\n"
    "Analytical energy: 45 nm, 3.1 k / 32 + 0.1 pJ per MAC, and 2.5 k pJ per value or weight that "
    "a layer reads. The formula is recalled from the paper and unchecked.\n"
    f"PIM energy: the paper's fJ per MAC, {_TABLE} bits. k is rounded up to one of these; nothing "
    "is interpolated. The last value reproduces the paper's VGG19. The others are recalled and "
    "unchecked.\n"
    "Neither energy was measured here; `adq sim` counts switching in simulation."
)
"""Explanation of the columns, with sources and reliability of the figures."""


def to_json(network: NetworkWork) -> dict[str, Any]:
    """Return layers, totals, baseline totals and reductions of a network."""
    return {
        "name": network.name,
        "layers": [
            asdict(layer) | {quantity: getattr(layer, quantity) for quantity in ("bits", *_TOTALS)}
            for layer in network.layers
        ],
        "total": {quantity: network.total(quantity) for quantity in _TOTALS},
        "baseline": {
            "name": network.baseline_name,
            "total": {quantity: network.baseline_total(quantity) for quantity in _TOTALS},
        },
        "mac_reduction": network.reduction("mac_bits"),
        "bit_operation_reduction": network.reduction("bit_operations"),
        "analytical_energy_reduction": network.reduction("analytical_pj"),
        "pim_energy_reduction": network.reduction("pim_pj"),
    }


def cost_tables(networks: Sequence[NetworkWork]) -> list[Table]:
    """Return a table per network: its layers, total, baseline total and reduction."""
    return [_table(network) for network in networks]


def _table(network: NetworkWork) -> Table:
    table = Table(title=network.name)
    table.add_column("layer", overflow="fold")
    for heading in ("AD", "k", "out", "MACs", "bit ops\nG", "analytical\nuJ", "PIM\nuJ"):
        table.add_column(heading, justify="right", no_wrap=True)
    for layer in network.layers:
        same = layer.weight_bits == layer.activation_bits
        table.add_row(
            layer.name,
            "-" if layer.density is None else f"{layer.density:.3f}",
            str(layer.bits) if same else f"{layer.weight_bits}x{layer.activation_bits}",
            str(layer.channels),
            *_cells(*(getattr(layer, quantity) for quantity in _SHOWN)),
        )
    table.add_section()
    table.add_row("total", *[""] * 3, *_cells(*map(network.total, _SHOWN)), style="bold")
    table.add_row(BASELINE, *[""] * 3, *_cells(*map(network.baseline_total, _SHOWN)))
    ratios = [f"{network.reduction(quantity):.2f}x" for quantity in _SHOWN]
    table.add_row("reduction", *[""] * 3, *ratios, style="bold")
    table.caption = (
        f"MAC reduction {network.reduction('mac_bits'):.2f}x against {network.baseline_name}"
    )
    table.caption_justify = "left"
    return table


def _cells(macs: float, bit_operations: float, *picojoules: float) -> list[str]:
    return [f"{macs:,}", _short(bit_operations / 1e9), *(_short(each / 1e6) for each in picojoules)]


def _short(value: float) -> str:
    """Format with three decimals, or with three significant digits below 1."""
    return f"{value:,.3f}" if value >= 1 else f"{value:.3g}"
