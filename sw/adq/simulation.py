"""Simulations of golden artifacts, with their progress and their tables."""

import time
from collections.abc import Callable
from pathlib import Path

from rich.table import Table

from adq.console import Console, print_whole
from adq.energy.comparison import NetworkCost, comparison_table, cost_of
from adq.energy.simulated import ModelledEnergy, simulated_energy
from adq.energy.switching import SwitchingEnergy
from adq.golden.artifact import Artifact, read_artifact
from adq.golden.utilization import use_of_network
from adq.rtl.parameters import TileParameters
from adq.verif.simulation.network_run import simulate

__all__ = ["print_costs", "report_networks", "simulate_networks"]


def simulate_networks(
    artifacts: list[Path],
    tile: TileParameters,
    images: int | None,
    out: Path,
    cache: Path,
    progress: Callable[[str], None],
) -> list[dict]:
    """Simulate artifacts one after the other, each in a directory of its own below ``out``.

    Returns
    -------
    list of dict
        What ``simulate`` gives, each with ``planned_cycles``, what the mapper
        expects of all layers, and ``agrees``: no integer differs, and no layer's cycles.
    """
    networks = [read_artifact(artifact) for artifact in artifacts]
    runs = []
    for number, artifact in enumerate(artifacts):

        def show(stage, artifact=artifact):
            progress(f"{artifact}: {stage}")

        started = time.monotonic()
        network = networks[number]
        count = images or _images_in_common(network, networks)
        run = simulate(
            artifact,
            tile,
            images=count,
            directory=out / f"{number}-{artifact.name}",
            cache=cache,
            progress=show,
        )
        run["seconds"] = round(time.monotonic() - started, 1)
        planned = [
            use.cycles for use in use_of_network(network.network, network.samples, tile, count)
        ]
        run["planned_cycles"] = sum(planned)
        run["agrees"] = (
            not (run["failure"] or run["mismatches"] or run["classes_that_differ"])
            and [layer["cycles"] for layer in run["layers"]] == planned
        )
        runs.append(run)
    return runs


def _images_in_common(network: Artifact, networks: list[Artifact]) -> int:
    """Samples that all artifacts of a network's layers have: their costs compare over these."""

    def layers(artifact: Artifact) -> list[str]:
        return [layer.name for layer in artifact.network.matrix_layers]

    return min(len(each.samples) for each in networks if layers(each) == layers(network))


def report_networks(runs: list[dict], console: Console) -> dict:
    """Print what agreed and what it cost; the same as numbers."""
    table = Table(title="RTL against golden integers")
    table.add_column("artifact", overflow="fold")
    for heading in ("images", "accumulators", "mismatches", "classes differ", "correct"):
        table.add_column(heading, justify="right")
    for run in runs:
        table.add_row(
            run["artifact"],
            f"{run['images']:,}",
            f"{run['accumulators']:,}",
            f"{run['mismatches']:,}",
            str(run["classes_that_differ"]),
            f"{run['correct']} of {run['images']}",
            style=None if run["agrees"] else "red",
        )
    console.print(table)

    for run in runs:
        cycles = sum(layer["cycles"] for layer in run["layers"])
        console.print(
            f"{run['artifact']}: {cycles:,} cycles, {run['planned_cycles']:,} as planned",
            markup=False,
            highlight=False,
        )
        if run["failure"]:
            line = f"FAIL {run['artifact']}: {run['failure']}"
            console.print(line, style="red", markup=False, highlight=False)
    energy = simulated_energy(TileParameters(**runs[0]["tile"]))
    costs = [
        cost_of(run, energy, name=Path(run["artifact"]).name) for run in runs if not run["failure"]
    ]
    if costs:
        print_costs(costs, energy, console)
    return {
        "agrees": all(run["agrees"] for run in runs),
        "energy": {"name": energy.name, "node": energy.node, "left_out": energy.left_out},
        "costs": [cost.to_json() for cost in costs],
        "runs": runs,
    }


def print_costs(
    costs: list[NetworkCost], energy: ModelledEnergy | SwitchingEnergy, console: Console
) -> None:
    """Print the table of costs."""
    print_whole(comparison_table(costs, energy), console)
