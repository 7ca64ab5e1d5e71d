"""Energy of networks for people and for programs."""

import functools
from collections.abc import Callable, Sequence

from rich.table import Table

from adq.cost.models import PIM_FJ_PER_MAC
from adq.energy.coefficients import Coefficients
from adq.energy.gate_level.placed_figures import placed_notes
from adq.energy.glitches import glitch_notes
from adq.energy.network_energy import BITS, LayerEnergy, NetworkEnergy, mac_energy
from adq.energy.reports.published import COLONNADE, COLONNADE_FJ_PER_MAC
from adq.energy.workload import Density

__all__ = ["energy_table", "mac_table", "notes", "ratio_table"]


DENSITIES = (1.0, 0.5)
"""Activation densities at which a MAC is told; the last also by bit product."""

_UNITS = (("uJ", 1e6), ("nJ", 1e3), ("pJ", 1))
"""Units of energy, the first that leaves a digit before the point is taken; in pJ."""


def energy_table(network: NetworkEnergy) -> Table:
    """Return the layers of a network and their sum, for an image."""
    unit, size = next(
        (unit, size) for unit, size in _UNITS if network.total("compute_pj") >= size or size == 1
    )
    table = Table(title=f"{network.name}: energy an image")
    table.add_column("layer", overflow="fold")
    images = network.images
    for heading in (
        *("AD in", "k", "kw x kx", "MACs", f"compute\n{unit}", "fJ/MAC"),
        f"load {unit},\n1 image",
        *([f"load {unit},\n{images} images"] if images > 1 else []),
        *(f"leakage\n{unit}", f"paper's\nPIM {unit}", f"Colonnade\n{unit}"),
    ):
        table.add_column(heading, justify="right", no_wrap=True)

    def numbers(each: LayerEnergy | NetworkEnergy, value: Callable[[str], float]) -> list[str]:
        loads = ["load_pj", *(["load_once_pj"] if images > 1 else [])]
        return [
            f"{value('compute_pj') / size:,.3f}",
            f"{each.fj_per_mac:,.1f}",
            *(f"{value(load) / size:,.3f}" for load in loads),
            *(f"{value(q) / size:,.3f}" for q in ("leakage_pj", "paper_pj", "colonnade_pj")),
        ]

    for each in network.layers:
        layer = each.layer
        table.add_row(
            layer.name,
            f"{layer.density:.2f}",
            str(layer.bits),
            f"{layer.weight_bits}x{layer.activation_bits}",
            f"{layer.macs:,}",
            *numbers(each, functools.partial(getattr, each)),
        )
    table.add_section()
    total = numbers(network, network.total)
    table.add_row("total", "", "", "", f"{network.macs:,}", *total, style="bold")
    return table


def ratio_table(networks: Sequence[NetworkEnergy]) -> Table:
    """Show how many times less the first network takes than each of the others."""
    table = Table(title=f"Times as much as {networks[0].name}")
    table.add_column("network", overflow="fold")
    headings = ("MACs", "compute", "load,\n1 image", "paper's\nPIM", "Colonnade")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    first = networks[0]
    for other in networks[1:]:
        ratios = [other.macs / first.macs] + [
            other.total(quantity) / first.total(quantity)
            for quantity in ("compute_pj", "load_pj", "paper_pj", "colonnade_pj")
        ]
        table.add_row(other.name, *(f"{ratio:.2f}x" for ratio in ratios))
    return table


def mac_table(model: Coefficients) -> Table:
    """Return a MAC of random words on a tile that is full, beside published ones."""
    table = Table(title="Energy of a MAC, fJ, on a tile that is full")
    table.add_column("kw x kx", justify="right")
    headings = [f"this tile,\nAD {density}" for density in DENSITIES]
    for heading in (*headings, "a bit product,\nAD 0.5", "paper's\nPIM", "Colonnade"):
        table.add_column(heading, justify="right")
    for bits in BITS:
        energies = [mac_energy(model, bits, bits, Density(density)) for density in DENSITIES]
        table.add_row(
            f"{bits}x{bits}",
            *(f"{energy:,.1f}" for energy in energies),
            f"{energies[-1] / bits**2:.2f}",
            f"{PIM_FJ_PER_MAC[bits]:,.1f}",
            f"{COLONNADE_FJ_PER_MAC[bits]:,.1f}",
        )
    return table


def _sampling(networks: Sequence[NetworkEnergy]) -> list[str]:
    """Return a line about layers of which some blocks of outputs were counted, or none."""
    errors = [
        each.standard_error
        for network in networks
        for each in network.layers
        if each.standard_error is not None
    ]
    if not errors:
        return []
    plural = "s" if len(errors) > 1 else ""
    return [
        f"{len(errors)} large layer{plural}: counted on blocks of outputs chosen at random, with a "
        f"standard error of at most {max(errors):.1%}; cycles are exact."
    ]


def _included(coefficients: Coefficients) -> str:
    """Say in a line what the energies have in them, and what they do not."""
    without = "partial sum buffer and its adders, and wiring between tiles; see "
    without += "`adq dev partial-sums`."
    layout = coefficients.layout
    if layout is None:
        return f"A lower bound: by the wire load model, without glitches, clock tree, {without}"
    # Die and path of an estimate would be those of another tile.
    die = f" on {layout.die_um2:,.0f} um2, longest path {layout.longest_path_ns:.2f} ns"
    return (
        f"As placed{'' if coefficients.scaled_from else die}: with the wires, clock tree and "
        f"glitches. Without {without}"
    )


def notes(coefficients: Coefficients, networks: Sequence[NetworkEnergy]) -> str:
    """Return notes on the figures, a line each."""
    tile = coefficients.tile
    characterized = (
        f"estimate: from tiles of {coefficients.scaled_from}, which were characterized"
        if coefficients.scaled_from
        else "characterized at gate level"
    )
    error = coefficients.predictor_bound
    if error is None:
        characterized += "; no error was measured as far from these as this size"
    elif coefficients.scaled_from:
        characterized += f"; at most {error:.1%} off where a size as far was left out"
    else:
        characterized += f"; at most {error:.1%} off on layers that the model has not seen"
    if coefficients.scaled_from:
        characterized += "; leakage by bit cells, rows and columns of these"
        if coefficients.leakage_bound is not None:
            characterized += f", at most {coefficients.leakage_bound:.1%} off there"
    revisions = [
        f"{block} was characterized on another revision of its RTL."
        for block in coefficients.other_revisions
    ]
    paper = ", ".join(f"{energy} at {bits}" for bits, energy in PIM_FJ_PER_MAC.items())
    colonnade = ", ".join(f"{energy} at {bits}" for bits, energy in COLONNADE_FJ_PER_MAC.items())
    operands = "; ".join(dict.fromkeys(f"{each.operands}" for each in networks))
    return "\n".join(
        [
            f"This tile: {tile.name}, {coefficients.library}, "
            f"{coefficients.conditions}, {characterized}.",
            *revisions,
            f"Operands: {operands}. AD in: share of a layer's inputs that are not zero.",
            *_sampling(networks),
            _included(coefficients),
            *(["Weights in latches, not in flip-flops."] if coefficients.latches else []),
            *glitch_notes(coefficients.library, tile),
            *placed_notes(coefficients.library, tile),
            "compute: weights at rest. load: writing them, for every image anew"
            + (f", and once for {networks[0].images} images." if networks[0].images > 1 else "."),
            f"Paper's PIM: 45 nm, its fJ a MAC ({paper} bits; the last reproduces its VGG19, the "
            "others are recalled, unchecked), sparsity not told.",
            f"Colonnade: {COLONNADE}, fJ a MAC ({colonnade} bits), dense operands. k is rounded up "
            "in both; nothing is scaled to another node or voltage.",
        ]
    )
