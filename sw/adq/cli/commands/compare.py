"""``adq compare``: compares policies over seeds, at equal cost."""

import importlib.util
from pathlib import Path
from typing import Annotated

import typer


def compare(
    config: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help="Recipe: the name of one shipped with adq, such as digits, or a TOML file.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the comparison and its runs.")],
    budgets: Annotated[
        list[str],
        typer.Option(
            "--budget",
            metavar="COST",
            help='Cost that all policies get, such as "70 nJ/image" or "3 bits". May be repeated.',
        ),
    ],
    policies: Annotated[
        str, typer.Option(metavar="NAME,...", help="Policies to compare. Default: all.")
    ] = "",
    seeds: Annotated[
        int, typer.Option(metavar="N", min=1, help="Number of seeds, from the recipe's on.")
    ] = 3,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a value of the recipe, such as training.epochs=3. May be repeated.",
        ),
    ] = None,
) -> None:
    """Train one recipe with several policies and seeds at equal cost, and compare them.

    The same command goes on with a comparison that was stopped. Started again beside a running one,
    it takes runs that no other process has taken. Every seed also trains a network that stays at
    the recipe's initial bits.

    The first table gives the mean and standard deviation of the accuracy, a paired t-test against
    activation-density, and how often the bits are the same as there; the second one holds
    energy-aware against each other policy. The outcome so far is written to comparison.json
    before each run, and drawn as comparison.svg at the end if Matplotlib is installed.
    """
    from rich.table import Table

    from adq.comparison.cells import Cell, plan
    from adq.console import Console, print_whole
    from adq.files import write_json
    from adq.shipped import find_shipped
    from adq.training.config import POLICIES, Recipe

    recipe = Recipe.from_toml(find_shipped("train", config), changes or ())
    chosen = [each.strip() for each in policies.split(",") if each.strip()] or list(POLICIES)
    cells = plan(recipe, policies=chosen, budgets=budgets, seeds=seeds)

    from adq.comparison.outcome import collect
    from adq.comparison.running import train_cells
    from adq.runs.run import Run
    from adq.training.observer import Observer

    console, path = Console(markup=False), out / "comparison.json"

    def begin(cell: Cell) -> Observer:
        if any(Run(out / each.name).finished for each in cells):
            write_json(path, collect(out.resolve().name, cells, out).to_json())
        console.print(f"{out / cell.name}: training", highlight=False, soft_wrap=True)
        return Observer()

    train_cells(cells, out, begin=begin)
    outcome = collect(out.resolve().name, cells, out)
    for title, headings, rows in outcome.tables():
        table = Table(*headings, title=title)
        for row in rows:
            table.add_row(*row)
        print_whole(table, console)
    write_json(path, outcome.to_json())
    console.print(f"Written: {path}", highlight=False)
    if importlib.util.find_spec("matplotlib"):
        from adq.comparison.figure import draw_comparison
        from adq.runs.density_figures import save

        save(draw_comparison(outcome), out / "comparison.svg")
        console.print(f"Written: {out / 'comparison.svg'}", highlight=False)
