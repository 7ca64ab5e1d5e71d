"""Energy of simulated networks: of the switching that was counted, and beside it of what the
operands predict.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from adq.energy.coefficients import (
    UNMEASURED,
    Coefficients,
    EnergyError,
    JobEnergy,
)
from adq.energy.counted import CountedEnergy
from adq.verif.simulation.network_run import LayerRun, NetworkRun

__all__ = ["OF_NETWORK", "TOLERANCE", "LayerEnergies", "NetworkEnergies", "energies_of"]

TOLERANCE = 0.05
"""Share by which a layer's predicted energy may always differ from the counted one. On tiles of
characterized sizes the two differ by less on every layer that the fit has not seen."""

OF_NETWORK = 0.01
"""Share of the network's energy by which a layer's predicted energy may always differ. Layers that
take little, or whose words are nearly all zero, differ by more than ``TOLERANCE`` of their own."""

NOTABLE = 0.005
"""Share of a layer's energy from which on estimated classes are named."""


@dataclass(frozen=True)
class LayerEnergies:
    """Energy of a layer, of all images.

    Attributes
    ----------
    run : LayerRun
    counted : CountedEnergy
        Of what its nets did.
    predicted : JobEnergy
        Of what its operands say that they should do.
    tolerance : float
        Largest share of the counted energy by which the two may differ.
    """

    run: LayerRun
    counted: CountedEnergy
    predicted: JobEnergy
    tolerance: float = TOLERANCE

    @property
    def predicted_total(self) -> float:
        """Predicted energy of computing and loading, in fJ."""
        return sum(self.predicted.compute.values()) + sum(self.predicted.load.values())

    @property
    def difference(self) -> float:
        """Predicted energy over counted energy, less one."""
        return self.predicted_total / self.counted.total - 1

    @property
    def agrees(self) -> bool:
        """Return whether the two differ by no more than the tolerance."""
        return abs(self.difference) <= self.tolerance


@dataclass(frozen=True)
class NetworkEnergies:
    """Energies of a network's layers, and the model that they are told by."""

    model: Coefficients
    layers: tuple[LayerEnergies, ...]

    @property
    def tolerance(self) -> float:
        """Share by which a layer's two figures may always differ: ``TOLERANCE``, or what they
        differed by where sizes were left out, if the tile's is estimated from others. They may also
        differ by ``OF_NETWORK`` of the network's energy.
        """
        return _tolerance(self.model)

    @property
    def name(self) -> str:
        """Return how the figures were found, in words."""
        scaled = self.model.scaled_from
        estimate = f", an estimate from tiles of {scaled}" if scaled else ""
        return f"counted switching, {self.model.library} at gate level{estimate}"

    @property
    def without(self) -> tuple[str, ...]:
        """Everything that the energies leave out: blocks that were not characterized, the shares
        that the coefficients do not have, and wires between tiles.
        """
        return (*self.left_out, *self.model.without, "wiring between tiles")

    @property
    def left_out(self) -> tuple[str, ...]:
        """Blocks whose switching was counted, and of which nothing was characterized."""
        return tuple(
            dict.fromkeys(block for layer in self.layers for block in layer.counted.left_out)
        )

    @property
    def agrees(self) -> bool:
        """Return whether every layer's prediction agrees with what was counted."""
        return all(layer.agrees for layer in self.layers)

    @property
    def problems(self) -> list[str]:
        """Return a line for each layer that does not agree."""
        return [
            f"{layer.run.name}: the operands predict {layer.predicted_total / 1000:,.0f} pJ, the "
            f"RTL's switching takes {layer.counted.total / 1000:,.0f} pJ "
            f"({layer.difference:+.1%}, more than {layer.tolerance:.1%}): the RTL has changed, or "
            "the model of the operands is wrong"
            for layer in self.layers
            if not layer.agrees
        ]

    @property
    def labels(self) -> list[str]:
        """Return notes on the figures, a line each."""
        lines = []
        if self.model.bound is not None and self.model.scaled_from:
            lines.append(
                f"At most {self.model.bound:.1%} off gate level where a size was left out "
                "as far from its neighbours."
            )
        elif self.model.bound is not None:
            lines.append(
                f"At most {self.model.bound:.1%} off gate level on layers that the fit never saw."
            )
        elif self.model.scaled_from:
            lines.append(UNMEASURED)
        lines += [
            f"{block} was characterized on another revision of its RTL."
            for block in self.model.other_revisions
        ]
        estimated: dict[str, float] = {}
        for layer in self.layers:
            for net_class, energy in layer.counted.estimated.items():
                estimated[str(net_class)] = estimated.get(str(net_class), 0.0) + energy
        total = sum(layer.counted.total for layer in self.layers)
        lines += [
            f"{net_class} is no class of nets that {self.model.library} was characterized with: "
            f"{energy / total:.1%} of the energy, at the mean of its block."
            for net_class, energy in estimated.items()
            if energy > NOTABLE * total
        ]
        return lines


def energies_of(run: NetworkRun, model: Coefficients) -> NetworkEnergies:
    """Return the energies of a simulated network, by the coefficients of its tile.

    Raises
    ------
    EnergyError
        If the simulation counted nothing.
    """
    layers = _layers(model, run.layers)
    allowed = OF_NETWORK * sum(layer.counted.total for layer in layers)
    return NetworkEnergies(
        model,
        tuple(
            replace(layer, tolerance=max(_tolerance(model), allowed / layer.counted.total))
            for layer in layers
        ),
    )


def _layers(model: Coefficients, runs: Sequence[LayerRun]) -> list[LayerEnergies]:
    found = []
    for run in runs:
        if not any(run.counts.toggles.values()):
            raise EnergyError(
                f"{run.name}: the simulation counted no switching: build its model with "
                "adq.verif.simulation.harness.build_harness"
            )
        weight_bits = run.work.layer.hardware_weight_bits
        # Where loading and computing take turns, a layer takes more cycles than planned.
        features = {**run.work.features, "cycles": run.cycles}
        predicted = model.energy(features, weight_bits)
        counted = model.counted.energy(run.counts, run.cycles)
        found.append(LayerEnergies(run, counted, predicted))
    return found


def _tolerance(model: Coefficients) -> float:
    return max(TOLERANCE, model.difference)
