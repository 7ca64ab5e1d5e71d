"""Simulation of golden artifacts, with progress display and tables."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from adq.console import Console, print_whole
from adq.energy.coefficients import coefficients_for
from adq.energy.default_library import LIBRARY
from adq.energy.design_results import counted_result
from adq.energy.reports.comparison import NetworkCost, comparison_table, cost_of
from adq.energy.simulated import NetworkEnergies, energies_of
from adq.golden.artifact import Artifact, read_artifact
from adq.rtl.parameters import TileParameters
from adq.verif.simulation.network_run import NetworkRun
from adq.verif.simulation.network_simulation import simulate

__all__ = ["SimulatedNetwork", "print_costs", "report_networks", "simulate_networks"]


@dataclass(frozen=True)
class SimulatedNetwork:
    """A network that was simulated, with its energy and time.

    Attributes
    ----------
    run : NetworkRun
    energies : NetworkEnergies
        Of no layers where the tile did not get to the end.
    seconds : float
        Of wall clock, the model's build included.
    """

    run: NetworkRun
    energies: NetworkEnergies
    seconds: float

    @property
    def agrees(self) -> bool:
        """Return whether no integer differs, each layer takes the planned cycles, and its predicted
        energy is within the tolerance.
        """
        return self.run.agrees and self.energies.agrees

    @property
    def problems(self) -> list[str]:
        """Problems other than integers that differ, one line each."""
        cycles = [
            f"{layer.name}: {layer.cycles:,} cycles, {layer.work.cycles:,} as planned"
            for layer in self.run.layers
            if layer.cycles != layer.work.cycles
        ]
        failure = [self.run.failure] if self.run.failure else []
        return [*failure, *cycles, *self.energies.problems]

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values for JSON."""
        return self.run.to_json() | {
            "agrees": self.agrees,
            "problems": self.problems,
            "seconds": self.seconds,
        }


def simulate_networks(
    paths: list[Path],
    tile: TileParameters,
    images: int | None,
    out: Path,
    cache: Path,
    progress: Callable[[str], None],
    library: str = LIBRARY,
) -> list[SimulatedNetwork]:
    """Simulate artifacts one after the other, each in its own directory below ``out``; energies are
    by a library's coefficients.

    Raises
    ------
    adq.golden.artifact.ArtifactError
        If one is damaged.
    adq.golden.mapping.mapper.MappingError, SimulationError
        As :func:`adq.verif.simulation.network_simulation.simulate`.
    EnergyError
        If there are no coefficients.
    """
    artifacts = [read_artifact(path) for path in paths]
    model = coefficients_for(library, tile)
    found = []
    for number, (path, artifact) in enumerate(zip(paths, artifacts, strict=True)):

        def show(stage: str, path: Path = path) -> None:
            progress(f"{path}: {stage}")

        started = time.monotonic()
        run = simulate(
            path,
            artifact,
            tile,
            images=images or _images_in_common(artifact, artifacts),
            directory=out / f"{number}-{path.name}",
            cache=cache,
            progress=show,
        )
        energies = energies_of(run, model)
        found.append(SimulatedNetwork(run, energies, round(time.monotonic() - started, 1)))
    return found


def _images_in_common(network: Artifact, networks: list[Artifact]) -> int:
    """Return the number of samples that all artifacts with a network's layers have, so that their
    costs are comparable.
    """

    def layers(artifact: Artifact) -> list[str]:
        return [layer.name for layer in artifact.network.matrix_layers]

    return min(len(each.samples) for each in networks if layers(each) == layers(network))


def report_networks(networks: list[SimulatedNetwork], console: Console) -> dict[str, Any]:
    """Print agreement and costs, and return the same as plain values for JSON."""
    table = Table(title="RTL against golden integers")
    table.add_column("artifact", overflow="fold")
    for heading in ("images", "accumulators", "mismatches", "classes differ", "correct"):
        table.add_column(heading, justify="right")
    for network in networks:
        run = network.run
        table.add_row(
            run.artifact,
            f"{run.images:,}",
            f"{run.accumulators:,}",
            f"{run.mismatches:,}",
            str(run.classes_that_differ),
            f"{run.correct} of {run.images}",
            style=None if network.agrees else "red",
        )
    console.print(table)

    for network in networks:
        run = network.run
        console.print(
            f"{run.artifact}: {run.cycles:,} cycles, {run.planned_cycles:,} as planned",
            markup=False,
            highlight=False,
        )
        for problem in network.problems:
            line = f"FAIL {run.artifact}: {problem}"
            console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
    costs = [
        cost_of(network.run, network.energies, name=Path(network.run.artifact).name)
        for network in networks
        if not network.run.failure
    ]
    energies = networks[0].energies
    if costs:
        print_costs(costs, energies, console)
    return {
        "agrees": all(network.agrees for network in networks),
        "energy": {
            "name": energies.name,
            "node": energies.model.conditions,
            "left_out": list(energies.without),
            "labels": energies.labels,
        },
        "costs": [cost.to_json() for cost in costs],
        "runs": [network.to_json() for network in networks],
        "results": [
            counted_result(network.run, network.energies).to_json()
            for network in networks
            if not network.run.failure
        ],
    }


def print_costs(costs: list[NetworkCost], energies: NetworkEnergies, console: Console) -> None:
    """Print the table of costs."""
    print_whole(comparison_table(costs, energies), console)
