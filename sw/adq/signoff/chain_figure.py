"""Figure of the whole chain: from images to energy, with the result on one network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from adq.runs.density_figures import scale, styled

__all__ = ["ChainResult", "draw_chain"]

STEPS = (
    ("images", "and labels"),
    ("training", "AD lowers bits"),
    ("artifact", "integers"),
    ("tile", "RTL on Verilator"),
    ("energy", "by layer"),
)
"""Boxes of the chain and what stands in them, from left to right."""

PICOJOULES = 1000
"""In a nanojoule."""


@dataclass(frozen=True)
class ChainResult:
    """Result of the chain for one network, and for the same network at uniform precision."""

    bits: Sequence[Mapping[str, int]]
    """Bits of each layer, by iteration."""
    accuracy: float
    uniform_accuracy: float
    compute_pj: Mapping[str, float]
    """Compute energy of each layer for an image."""
    uniform_compute_pj: Mapping[str, float]
    uniform_bits: int
    conditions: str
    """Tile, library and corner of the energies."""

    @property
    def ratio(self) -> float:
        """How many times the compute energy at uniform precision is that of the network."""
        return sum(self.uniform_compute_pj.values()) / sum(self.compute_pj.values())


@styled
def draw_chain(result: ChainResult) -> Figure:
    """Draw the chain, and under it the bits of each layer and the energy of an image."""
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(1, 2), width_ratios=(1, 1.3))
    _draw_steps(figure.add_subplot(grid[0, :]))
    _draw_bits(figure.add_subplot(grid[1, 0]), result)
    _draw_energy(figure.add_subplot(grid[1, 1]), result)
    return figure


def _draw_steps(axes: Axes) -> None:
    axes.set(xlim=(-0.45, len(STEPS) - 0.55), ylim=(-1.3, 0.6))
    axes.axis("off")
    width, height = 0.72, 0.9
    for place, (name, note) in enumerate(STEPS):
        axes.add_patch(
            Rectangle(
                (place - width / 2, -height / 2), width, height, facecolor="0.95", edgecolor="0.4"
            )
        )
        axes.text(place, 0, f"{name}\n{note}", ha="center", va="center")
        if place:
            ends = (place - width / 2, 0), (place - 1 + width / 2, 0)
            axes.annotate("", *ends, arrowprops={"arrowstyle": "-|>", "color": "0.3"})
    text = "every accumulator compared: tile = NumPy = ONNX Runtime"
    axes.text(2.5, -1.1, text, ha="center", va="center", color="0.3")
    for place in (2, 3):
        axes.plot((place, 2.5), (-height / 2, -0.95), color="0.6")


def _draw_bits(axes: Axes, result: ChainResult) -> None:
    layers = list(result.bits[0])
    iterations = np.arange(1, len(result.bits) + 1)
    for place, (layer, colour) in enumerate(
        zip(layers, scale()(np.linspace(0, 1, len(layers))), strict=True)
    ):
        bits = np.array([each[layer] for each in result.bits])
        shift = 0.15 * (place - (len(layers) - 1) / 2)  # so that equal lines are all seen
        axes.plot(iterations, bits + shift, "o-", color=colour, label=layer)
    axes.set(
        title="Training lowers the bits of the inner layers",
        xlabel="iteration",
        ylabel="bits",
        ylim=(0, None),
        xticks=iterations,
        yticks=(2, 4, 8, 16),
    )
    axes.legend(frameon=False)


def _draw_energy(axes: Axes, result: ChainResult) -> None:
    bars = (
        (f"all layers at {result.uniform_bits} bits", result.uniform_compute_pj),
        ("bits as trained", result.compute_pj),
    )
    layers = list(result.compute_pj)
    left = np.zeros(len(bars))
    for layer, colour in zip(layers, scale()(np.linspace(0, 1, len(layers))), strict=True):
        widths = np.array([energies[layer] / PICOJOULES for _, energies in bars])
        names = [name for name, _ in bars]
        axes.barh(names, widths, 0.55, left=left, color=colour, edgecolor="white", label=layer)
        left += widths
    accuracies = (result.uniform_accuracy, result.accuracy)
    for place, accuracy in enumerate(accuracies):
        axes.text(left[place], place, f"  accuracy {accuracy:.1%}", va="center")
    axes.set(
        title=f"Energy of an image: {result.ratio:.1f} times less",
        xlabel=f"nJ to compute\n{result.conditions}",
        xlim=(0, 1.35 * left.max()),
    )
    axes.invert_yaxis()
    axes.legend(frameon=False, loc="lower right")
