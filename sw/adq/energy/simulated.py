"""Energy of simulated networks, from the coefficients of the gate level where there are some."""

from pathlib import Path
from typing import Any

from adq.energy.coefficients import Coefficients, coefficients_for, libraries
from adq.energy.switching import SwitchingEnergy, WindowEnergy
from adq.energy.workload import artifact_features
from adq.golden.artifact import read_artifact
from adq.rtl.parameters import TileParameters

__all__ = ["LIBRARY", "ModelledEnergy", "simulated_energy"]

LIBRARY = "nangate45"
"""Whose cells simulated networks are told in."""


class ModelledEnergy:
    """The energy model's figures for what a simulation ran, from the same operands.

    Attributes
    ----------
    name, node : str
        What the figures are, and of which process and corner.
    left_out : list of str
        Blocks that are not counted.
    """

    left_out = ("partial sum buffer",)

    def __init__(self, coefficients: Coefficients):
        self.coefficients = coefficients
        self.name = f"model of gate level, {coefficients.library}"
        if coefficients.scaled_from:
            self.name += f", an estimate scaled from {coefficients.scaled_from}"
        self.node = coefficients.conditions

    def of_layers(self, simulation: dict[str, Any]) -> list[WindowEnergy]:
        """Energy of each layer, of all images."""
        artifact = read_artifact(Path(simulation["artifact"]))
        layers = artifact_features(artifact, self.coefficients.tile, simulation["images"])
        found = []
        for layer in layers:
            energy = self.coefficients.energy(layer.features, layer.weight_bits)
            found.append(
                WindowEnergy(
                    compute=sum(energy.compute.values()) / 1000,
                    load=sum(energy.load.values()) / 1000,
                    blocks={block: value / 1000 for block, value in energy.compute.items()},
                )
            )
        return found


def simulated_energy(tile: TileParameters) -> ModelledEnergy | SwitchingEnergy:
    """What a tile's simulations are told in: the model, or the estimate where nothing was
    characterized.
    """
    if LIBRARY in libraries():
        return ModelledEnergy(coefficients_for(LIBRARY, tile))
    return SwitchingEnergy.estimate()
