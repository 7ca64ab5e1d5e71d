"""Cost of a network in training: energy and cycles on a tile, bit operations, average bits.

Energy and cycles are those of the integers that the network computes from sample images, by the
tile's energy model. Of a large layer, some runs of consecutive vectors and some jobs stand for all.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from adq.energy.coefficients import Coefficients, coefficients_for
from adq.energy.default_library import LIBRARY
from adq.golden.integer_network import run
from adq.golden.mapping.mapper import JobPlan, operands, plan_matrix
from adq.golden.network import INPUT, Conv2d, MatrixLayer, Network
from adq.quantization.integers import integer_network
from adq.quantization.prepared import Prepared
from adq.rtl.parameters import TileParameters
from adq.training.policies.trial import Trial
from adq.verif.operands.features import features_of
from adq.verif.operands.jobs import layer_jobs

__all__ = ["LayerCost", "Tile", "cost_tables", "network_costs"]

IMAGES = 8
"""Sample images whose operands are counted."""

VECTORS = 256
"""Vectors of a layer that are counted at most, of all sample images together."""

PLANES = 2**20
"""Planes of a layer that are counted, or up to twice as many: of one that has more, some of its
jobs, which compute different outputs from the same vectors, stand for all."""

RUN = 8
"""Consecutive vectors of a run: neighbours switch less than strangers."""

MEASURED = (2, 3, 4, 5, 8, 9, 16)
"""Precisions at which energy is counted: both ends of each weight width of the tile. Between them
it is linear in the bits, as activations take a plane a bit."""


@dataclass(frozen=True)
class LayerCost:
    """Cost of a layer for one image."""

    energy: float
    """Energy of computing on the tile, without loading weights, in pJ."""
    cycles: float
    """Cycles on the tile."""


class Tile:
    """A tile whose energy model is known.

    Raises
    ------
    adq.energy.coefficients.EnergyError
        If nothing was characterized.

    """

    def __init__(self, parameters: TileParameters):
        self.parameters = parameters
        self.model: Coefficients = coefficients_for(LIBRARY, parameters)

    def layer_costs(self, network: Network, inputs: np.ndarray) -> dict[str, LayerCost]:
        """Return the cost of each layer for an image, from the integers (N, C, H, W) of images."""
        outputs = run(network, inputs).outputs
        return {
            layer.name: self._layer_cost(
                network, layer, inputs if layer.input == INPUT else outputs[layer.input]
            )
            for layer in network.matrix_layers
        }

    def _layer_cost(
        self, network: Network, layer: MatrixLayer, layer_input: np.ndarray
    ) -> LayerCost:
        matrix, weights = operands(network, layer.name, layer_input)
        chosen = [matrix[part, :] for part in _runs(len(matrix))]
        counted = np.concatenate(chosen)
        activations = network.formats[layer.input]
        plan = plan_matrix(
            layer.name,
            rows=layer.rows,
            shape=network.shapes[layer.name],
            groups=layer.groups if isinstance(layer, Conv2d) else 1,
            weight_bits=layer.hardware_weight_bits,
            activation_bits=activations.bits,
            signed=activations.signed,
            vectors=len(counted),
            tile=self.parameters,
        )
        some = dataclasses.replace(plan, jobs=_some(plan.jobs))
        features = features_of(self.parameters, list(layer_jobs(some, counted, weights)))
        energy = self.model.energy(features, layer.hardware_weight_bits).compute
        share = len(matrix) / len(counted) / len(layer_input)
        share *= _planes(plan.jobs) / _planes(some.jobs)
        return LayerCost(sum(energy.values()) * share / 1000, features["cycles"] * share)


def _runs(vectors: int) -> list[slice]:
    """Return runs of consecutive vectors, spread evenly, of ``VECTORS`` vectors in all."""
    if vectors <= VECTORS:
        return [slice(0, vectors)]
    starts = np.linspace(0, vectors - RUN, VECTORS // RUN).astype(int).tolist()
    return [slice(start, start + RUN) for start in starts]


def _some(jobs: Sequence[JobPlan]) -> tuple[JobPlan, ...]:
    """Return jobs at equal distances which have about ``PLANES`` planes; all if they have fewer."""
    # Jobs for different row blocks take turns: at an odd distance all kinds of them are met.
    apart = min(_planes(jobs) // PLANES | 1, len(jobs))
    return tuple(jobs[apart // 2 :: apart])


def _planes(jobs: Sequence[JobPlan]) -> int:
    """Return the planes of jobs, none of them skipped."""
    return sum(job.row_blocks * job.vector_count * job.activation_bits for job in jobs)


def network_costs(prepared: Prepared, images: torch.Tensor, tile: Tile) -> dict[str, LayerCost]:
    """Return the cost of each layer of a network at its present bits, for an image."""
    network = integer_network(prepared, name="network")
    return tile.layer_costs(network, prepared.input_integers(images[:IMAGES]).cpu().numpy())


def cost_tables(
    prepared: Prepared,
    quantity: str,
    *,
    tile: Tile | None = None,
    images: torch.Tensor | None = None,
) -> dict[str, dict[int, float]]:
    """Return the cost of each layer at each precision from 2 to 16 bits.

    Parameters
    ----------
    prepared
        Network whose ranges are known. It is left as it is.
    quantity
        ``energy`` in pJ, ``cycles``, ``bit_operations``, or ``average_bits``: a layer's part of
        the mean over all multiply-accumulates.
    tile, images
        Tile, and images (N, C, H, W) whose operands are counted; for energy and cycles alone.

    """
    precisions = range(2, 17)
    macs = prepared.macs
    if quantity == "bit_operations":
        return {name: {k: float(each * k * k) for k in precisions} for name, each in macs.items()}
    if quantity == "average_bits":
        total = sum(macs.values())
        return {name: {k: each * k / total for k in precisions} for name, each in macs.items()}
    if tile is None or images is None:
        raise ValueError(f"{quantity} needs a tile and images")
    measured: dict[int, dict[str, LayerCost]] = {}
    trial = Trial(prepared)
    for k in MEASURED:
        trial.set_bits(dict.fromkeys(trial.layers, k))
        trial.find_ranges(images)
        measured[k] = network_costs(trial, images, tile)
    return {
        name: _between({k: getattr(costs[name], quantity) for k, costs in measured.items()})
        for name in macs
    }


def _between(measured: Mapping[int, float]) -> dict[int, float]:
    """Interpolate, and let no precision cost less than a lower one."""
    known: Sequence[int] = sorted(measured)
    values = np.interp(range(2, 17), known, [measured[k] for k in known])
    return dict(zip(range(2, 17), np.maximum.accumulate(values).tolist(), strict=True))
