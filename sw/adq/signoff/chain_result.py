"""Figures for the picture of the chain, from a kept result and checked-in artifacts."""

from pathlib import Path

from adq.energy.coefficients import coefficients_for
from adq.energy.default_library import LIBRARY
from adq.energy.sources import artifact_energy
from adq.rtl.parameters import TileParameters
from adq.runs.results import read_result
from adq.signoff.chain_figure import ChainResult

__all__ = ["kept_chain"]


def kept_chain(result: Path, trained: Path, uniform: Path) -> ChainResult:
    """Read what is kept; energies are of the default tile, from the artifacts' operands."""
    tile = TileParameters()
    model = coefficients_for(LIBRARY, tile)
    kept = read_result(result)
    networks = [artifact_energy(path, model, None) for path in (trained, uniform)]
    energies = [
        {layer.layer.name: layer.compute_pj for layer in network.layers} for network in networks
    ]
    return ChainResult(
        bits=[iteration["bits"] for iteration in kept.mixed["iterations"]],
        accuracy=kept.mixed["accuracy"],
        uniform_accuracy=kept.baseline["accuracy"],
        compute_pj=energies[0],
        uniform_compute_pj=energies[1],
        uniform_bits=max(kept.baseline["bits"].values()),
        conditions=(
            f"mean of {networks[0].images} test images, "
            f"{tile.rows}x{tile.columns} tile, {model.conditions}"
        ),
    )
