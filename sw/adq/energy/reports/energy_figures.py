"""Figures of energy: a MAC over its bits, a bit product over density, layers by block."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from adq.cost.models import PIM_FJ_PER_MAC
from adq.energy.coefficients import Coefficients
from adq.energy.network_energy import BITS, NetworkEnergy, mac_energy
from adq.energy.reports.published import COLONNADE, COLONNADE_FJ_PER_MAC
from adq.energy.workload import Density
from adq.runs.density_figures import scale, styled

__all__ = ["draw"]

DENSITIES = tuple(float(density) for density in np.linspace(0, 1, 11))


@styled
def draw(model: Coefficients, networks: Sequence[NetworkEnergy]) -> dict[str, Figure]:
    """Return the figures by name: ``mac``, ``density``, and ``layers`` of these networks."""
    said = f"{model.tile.name} tile, {model.library}, {model.conditions}" + (
        f", from tiles of {model.scaled_from}" if model.scaled_from else ""
    )
    return {
        "mac": _draw_mac(model, said),
        "density": _draw_density(model, said),
        "layers": _draw_layers(networks, said),
    }


def _draw_mac(model: Coefficients, said: str) -> Figure:
    """Return the fJ a MAC over bits, beside the paper's table and silicon."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    colours = scale()(np.linspace(0, 1, 4))
    lines = [
        *(
            (
                f"this tile, AD {density}",
                {k: mac_energy(model, k, k, Density(density)) for k in BITS},
                style,
            )
            for density, style in ((1.0, "-o"), (0.5, "-s"))
        ),
        ("paper's PIM, 45 nm", PIM_FJ_PER_MAC, "--^"),
        (COLONNADE, COLONNADE_FJ_PER_MAC, ":D"),
    ]
    for (label, points, style), colour in zip(lines, colours, strict=True):
        axes.loglog(list(points), list(points.values()), style, color=colour, label=label)
    axes.set_xticks([1, *BITS], [str(bits) for bits in (1, *BITS)])
    axes.minorticks_off()
    axes.set(title=f"Energy of a MAC: {said}", xlabel="bits of weight and activation", ylabel="fJ")
    axes.grid(axis="y", color="0.9")
    axes.legend(frameon=False)
    return figure


def _draw_density(model: Coefficients, said: str) -> Figure:
    """Return the fJ a bit product over activation density."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for bits, colour, style in zip(
        BITS, scale()(np.linspace(0, 1, len(BITS))), ("-", "--", "-.", ":"), strict=True
    ):
        energies = [
            mac_energy(model, bits, bits, Density(density)) / bits**2 for density in DENSITIES
        ]
        axes.plot(DENSITIES, energies, style, color=colour, label=f"{bits}x{bits} bits")
    axes.set_ylim(bottom=0)
    axes.set(
        title=f"Energy of a bit product: {said}",
        xlabel="activation density: share of words that are not zero",
        ylabel="fJ",
    )
    axes.grid(axis="y", color="0.9")
    axes.legend(frameon=False)
    return figure


def _draw_layers(networks: Sequence[NetworkEnergy], said: str) -> Figure:
    """Return the energy of each layer, stacked by block, a panel a network."""
    blocks = list(dict.fromkeys(b for n in networks for each in n.layers for b in each.blocks_pj))
    colours = matplotlib.colormaps["tab20"](np.arange(len(blocks)))
    hatches = ("", "//", "..", "xx")
    figure = Figure(figsize=(8, 1 + 3 * len(networks)), layout="constrained")
    panels = figure.subplots(len(networks), 1, squeeze=False)[:, 0]
    for axes, network in zip(panels, networks, strict=True):
        names = [each.layer.name for each in network.layers]
        below = np.zeros(len(names))
        for place, block in enumerate(blocks):
            heights = [each.blocks_pj.get(block, 0.0) / 1000 for each in network.layers]
            axes.bar(
                names,
                heights,
                bottom=below,
                color=colours[place],
                hatch=hatches[place // 6],
                edgecolor="white",
                linewidth=0.5,
                label=block,
            )
            below += heights
        axes.set(title=network.name, ylabel="nJ an image")
        axes.tick_params(axis="x", rotation=60)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside right upper", frameon=False)
    figure.suptitle(said, x=0.01, ha="left", fontsize=10)
    return figure
