"""Energy of networks on a tile, layer by layer, beside published figures."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adq.cost.models import pim_energy
from adq.cost.work import LayerWork
from adq.energy.coefficients import Coefficients, JobEnergy
from adq.energy.reports.published import colonnade_energy
from adq.energy.workload import Density, LayerFeatures, architecture_features

__all__ = ["BITS", "LayerEnergy", "NetworkEnergy", "mac_energy"]

BITS = (2, 4, 8, 16)
"""Precisions at which MACs are compared, of weights and activations alike."""

VECTORS = 64
"""Vectors a weight load where a MAC of no network is told."""

QUANTITIES = ("compute_pj", "load_pj", "load_once_pj", "leakage_pj", "paper_pj", "colonnade_pj")


@dataclass(frozen=True)
class LayerEnergy:
    """A layer's energy an image."""

    layer: LayerFeatures
    energy: JobEnergy
    """Energy of ``layer.images`` images."""
    standard_error: float | None = None
    """Standard error of the energy, as a share; None if all blocks of outputs were counted."""

    @property
    def compute_pj(self) -> float:
        """Energy of computing."""
        return sum(self.energy.compute.values()) / self.layer.images / 1000

    @property
    def load_once_pj(self) -> float:
        """Energy of loading weights, shared by the images."""
        return sum(self.energy.load.values()) / self.layer.images / 1000

    @property
    def load_pj(self) -> float:
        """Energy of loading weights for every image anew."""
        return sum(self.energy.load.values()) * self.layer.loads / self.loads / 1000

    @property
    def loads(self) -> float:
        """Weight blocks loaded for all images."""
        return self.layer.features["blocks"]

    @property
    def leakage_pj(self) -> float:
        """Energy of the tile's leakage while it runs."""
        return self.energy.leakage / self.layer.images / 1000

    @property
    def paper_pj(self) -> float:
        """By the paper's energy of a MAC."""
        return pim_energy(self.layer.macs, self.layer.bits)

    @property
    def colonnade_pj(self) -> float:
        """By Colonnade's measured energy of a MAC."""
        return colonnade_energy(self.layer.macs, self.layer.bits) / 1000

    @property
    def fj_per_mac(self) -> float:
        """Compute energy of a useful MAC."""
        return 1000 * self.compute_pj / self.layer.macs

    @property
    def blocks_pj(self) -> dict[str, float]:
        """Compute energy by block."""
        return {
            block: energy / self.layer.images / 1000
            for block, energy in self.energy.compute.items()
        }

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        layer = self.layer
        return {
            **{
                name: getattr(layer, name)
                for name in ("name", "macs", "bits", "weight_bits", "activation_bits", "density")
            },
            **{quantity: getattr(self, quantity) for quantity in QUANTITIES},
            "fj_per_mac": self.fj_per_mac,
            "blocks_pj": self.blocks_pj,
            "cycles": layer.features["cycles"] / layer.images,
            "output_blocks": layer.output_blocks,
            "output_blocks_counted": len(layer.sample) or layer.output_blocks,
            "standard_error": self.standard_error,
        }


@dataclass(frozen=True)
class NetworkEnergy:
    """A network's energy an image on a tile."""

    name: str
    layers: tuple[LayerEnergy, ...]
    operands: str
    """Where the operands come from, in words."""

    @classmethod
    def of(
        cls, name: str, layers: Sequence[LayerFeatures], coefficients: Coefficients, operands: str
    ) -> "NetworkEnergy":
        """Return the energy of layers by a model's coefficients."""
        energies = (
            LayerEnergy(
                layer,
                coefficients.energy(layer.features, layer.weight_bits),
                _standard_error(layer, coefficients),
            )
            for layer in layers
        )
        return cls(name, tuple(energies), operands)

    @property
    def images(self) -> int:
        """Images that share the loads of ``load_once_pj``."""
        return self.layers[0].layer.images

    @property
    def macs(self) -> int:
        """MACs of all layers."""
        return sum(each.layer.macs for each in self.layers)

    def total(self, quantity: str) -> float:
        """Sum over the layers of one of ``QUANTITIES``."""
        return float(sum(getattr(each, quantity) for each in self.layers))

    @property
    def fj_per_mac(self) -> float:
        """Compute energy of a useful MAC."""
        return 1000 * self.total("compute_pj") / self.macs

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {
            "name": self.name,
            "operands": self.operands,
            "images": self.images,
            "layers": [each.to_json() for each in self.layers],
            "total": {quantity: self.total(quantity) for quantity in QUANTITIES}
            | {"macs": self.macs, "fj_per_mac": self.fj_per_mac},
        }


def _standard_error(layer: LayerFeatures, coefficients: Coefficients) -> float | None:
    """Return the standard error of a layer's energy, from the blocks of outputs in its sample."""
    if not layer.sample:
        return None
    energies = [
        sum((*energy.compute.values(), *energy.load.values()))
        for energy in (coefficients.energy(each, layer.weight_bits) for each in layer.sample)
    ]
    count = len(energies)
    left_out = 1 - count / layer.output_blocks  # a sample of all of them has no error
    return statistics.stdev(energies) / statistics.mean(energies) * math.sqrt(left_out / count)


def mac_energy(
    model: Coefficients, weight_bits: int, activation_bits: int, density: Density
) -> float:
    """Compute energy in fJ of a MAC of random words, on a tile whose rows and columns are all used.

    ``weight_bits`` is one of the tile's precisions. A weight load has ``VECTORS`` vectors, which
    share the cycle between jobs.
    """
    tile = model.tile
    outputs = tile.outputs(weight_bits)
    layer = LayerWork(
        name="full tile",
        channels=outputs,
        macs=VECTORS * tile.rows * outputs,
        inputs=VECTORS * tile.rows,
        weights=tile.rows * outputs,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
    )
    [full] = architecture_features(
        [layer], tile, densities=[density], images=1, signed_images=False
    )
    return sum(model.energy(full.features, weight_bits).compute.values()) / layer.macs
