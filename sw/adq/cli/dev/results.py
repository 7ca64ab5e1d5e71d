"""``adq dev results``: keeps training results and writes their tables."""

from pathlib import Path
from typing import Annotated

import typer


def results(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN", help="Finished runs of checked-in recipes to save as results."
        ),
    ] = None,
    comparisons: Annotated[
        list[Path] | None,
        typer.Option(
            "--comparison", metavar="DIR", help="Folder of adq compare to keep. May be repeated."
        ),
    ] = None,
    folder: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("results"),
    recipes: Annotated[Path, typer.Option(help="Folder of the recipes.")] = Path("configs/train"),
    page: Annotated[Path, typer.Option(help="Markdown page whose tables are rewritten.")] = Path(
        "docs/reproduction.md"
    ),
) -> None:
    """Save the results of runs as small JSON files, and rewrite the tables of all results.

    A run with another seed than its recipe's is kept in the folder seeds of the results; a table
    tells the spread over all seeds of a recipe.
    Comparisons are kept in the folder compare of the results, and drawn for the page; adq dev docs
    writes their tables.
    """
    from adq.comparison.keeping import keep_comparison
    from adq.console import Console
    from adq.runs.result_tables import write_page
    from adq.runs.results import keep, kept_name, read_results, reproducing
    from adq.runs.run import Run

    console = Console(markup=False)
    for path in runs or ():
        run = Run.open(path)
        kept = keep(run, kept_name(run, recipes), folder)
        console.print(f"Written: {kept}", highlight=False)
    for path in comparisons or ():
        for kept in keep_comparison(path, folder / "compare", page.parent / "figures"):
            console.print(f"Written: {kept}", highlight=False)
    write_page(page, read_results(folder), reproducing(recipes))
    console.print(f"Written: {page}", highlight=False)
