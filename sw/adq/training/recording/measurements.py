"""Measurements on sample images that a policy or a budget needs: costs on a tile, sensitivities."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch.nn import functional

from adq.quantization.prepared import Prepared
from adq.rtl.parameters import TileParameters
from adq.shipped import find_shipped
from adq.training.policies.budget import Budget
from adq.training.policies.costs import IMAGES, LayerCost, Tile, cost_tables, network_costs
from adq.training.policies.limit import Limit
from adq.training.policies.sensitivity import loss_increases

__all__ = ["SAMPLES", "Measurements", "limit_of"]

SAMPLES = 256
"""Sample images that are enough for ``Measurements``."""


class Measurements:
    """Measures a network on sample images.

    Parameters
    ----------
    images, labels
        Samples (N, C, H, W) as the network takes them, and what ``loss`` compares its output with:
        training images, so that the test images choose nothing. Energy is counted on the first
        few, the loss on all.
    tile
        Tile, or the name or TOML file of one.
    loss
        Mean loss of outputs and labels. Default: cross entropy.

    Raises
    ------
    adq.shipped.ShippedFileError
        If no tile of this name comes with adq.
    adq.rtl.parameters.ParameterError
        If the tile's file cannot be read.

    """

    def __init__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        *,
        tile: TileParameters | str = "64x64",
        loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = functional.cross_entropy,
    ):
        self.images = images
        self.labels = labels
        self.loss = loss
        if isinstance(tile, str):
            tile = TileParameters.from_toml(find_shipped("tile", tile))
        self.tile = Tile(tile)

    def costs(self, prepared: Prepared) -> dict[str, LayerCost]:
        """Return the cost of each layer at its present bits, for an image."""
        return network_costs(prepared, self.images, self.tile)

    def loss_increases(
        self, prepared: Prepared, units: Mapping[str, Sequence[str]]
    ) -> dict[str, dict[int, float]]:
        """Return the increase of the loss by layer and bits; see ``sensitivity``."""
        return loss_increases(prepared, self.images, self.labels, units, self.loss)


def limit_of(
    prepared: Prepared,
    units: Mapping[str, Sequence[str]],
    budget: Budget | None,
    measurements: Measurements | None,
) -> Limit:
    """Return what units of layers cost, and the cost to reach: without a budget, as little as can
    be.
    """
    quantity = "energy" if budget is None else budget.quantity
    if measurements is None:
        tables = cost_tables(prepared, quantity)
    else:
        images = measurements.images[:IMAGES]
        tables = cost_tables(prepared, quantity, tile=measurements.tile, images=images)
    chosen = {member for members in units.values() for member in members}
    fixed = sum(tables[name][k] for name, k in prepared.bits.items() if name not in chosen)
    return Limit(
        costs={
            name: {k: sum(tables[member][k] for member in members) for k in range(2, 17)}
            for name, members in units.items()
        },
        fixed=fixed,
        target=fixed if budget is None else budget.amount,
    )
