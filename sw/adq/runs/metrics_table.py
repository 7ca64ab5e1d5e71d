"""A finished run's metrics for people."""

from typing import Any

from rich.table import Table

from adq.console import Console


def print_metrics(console: Console, metrics: dict[str, Any]) -> None:
    """Print what each layer was at the end of each iteration, and the results."""
    mixed = metrics["mixed"]
    pruned = metrics["recipe"]["controller"]["pruning"]
    what = "Bits, channels and" if pruned else "Bits and"
    table = Table(title=f"{what} activation density at the end of each iteration")
    table.add_column("layer")
    for iteration in mixed["iterations"]:
        table.add_column(
            f"iteration {iteration['iteration']}\n"
            f"{iteration['epochs']} epochs\n{iteration['accuracy']:.2%}",
            justify="right",
        )
    for layer in mixed["bits"]:
        cells = []
        for iteration in mixed["iterations"]:
            density = iteration["density"].get(layer)
            shown = "-" if density is None else f"{density:.3f}"
            channels = f"  {iteration['channels'][layer]:>4}" if pruned else ""
            cells.append(f"{iteration['bits'][layer]}{channels}  {shown:>5}")
        table.add_row(layer, *cells)
    console.print(table)
    table = Table()
    for heading in (
        "network",
        "accuracy",
        "epochs",
        "MAC reduction",
        "training complexity",
        "PIM energy",
        "times lower",
    ):
        table.add_column(heading, justify="left" if heading == "network" else "right")
    for name in ("mixed", "baseline"):
        if name in metrics:
            network = metrics[name]
            table.add_row(
                name,
                f"{network['accuracy']:.2%}",
                str(network["epochs"]),
                f"{network['mac_reduction']:.2f}x",
                f"{network['training_complexity']:.3f}",
                f"{network['pim_energy_uj']:.3g} uJ",
                f"{network['pim_energy_reduction']:.1f}x",
            )
    console.print(table)
    if "accuracy_difference" in metrics:
        console.print(
            f"mixed precision against its baseline: "
            f"{100 * metrics['accuracy_difference']:+.2f} points"
        )
    console.print("PIM energy of an image: by the paper's energy of a MAC at 45 nm.")
    if metrics.get("operating_points"):
        print_operating_points(console, metrics)


def print_operating_points(console: Console, metrics: dict[str, Any]) -> None:
    """Print accuracy against energy, cycles and bits of each network of a run."""
    tile = metrics["recipe"]["controller"].get("tile") or "no tile"
    table = Table(title=f"Accuracy against cost of an image ({tile})")
    table.add_column("network")
    for heading in ("accuracy", "bits a MAC", "energy nJ", "cycles"):
        table.add_column(heading, justify="right")
    for point in metrics["operating_points"]:
        energy, cycles = point["energy_nj"], point["cycles"]
        table.add_row(
            point["name"] if point["trained"] else f"{point['name']}, not trained at them",
            f"{point['accuracy']:.2%}",
            f"{point['average_bits']:.2f}",
            "-" if energy is None else f"{energy:,.4g}",
            "-" if cycles is None else f"{cycles:,.0f}",
        )
    console.print(table)
    budget = metrics["recipe"]["controller"].get("budget")
    if budget:
        console.print(f"Budget: {budget}. Energy: computing, without loading weights.")
