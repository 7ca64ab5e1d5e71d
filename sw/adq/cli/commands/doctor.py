"""`adq doctor`: is everything here that simulation and training need?"""

import typer

from adq.cli.tile_options import CACHE


def doctor() -> None:
    """Check this machine's tools, and give the command that mends each problem.

    Exit status 0 if `make sim` can work, 2 if not. What only training or replaying
    needs does not count.
    """
    from rich.table import Table
    from rich.text import Text

    from adq.console import Console
    from adq.machine import examine

    findings = examine(CACHE)
    table = Table("tool", "works", "found", "mended by", title="Tools of this machine")
    for finding in findings:
        style = "green" if finding.works else "yellow" if finding.optional else "red"
        works = Text("yes" if finding.works else "no", style=style)
        texts = (Text(text, overflow="fold") for text in (finding.found, finding.mend))
        table.add_row(finding.tool, works, *texts)
    Console().print(table)

    problems = [finding for finding in findings if not (finding.works or finding.optional)]
    for finding in problems:
        line = f"{finding.tool} does not work: {finding.found}; mend it with: {finding.mend}"
        typer.echo(line, err=True)
    if problems:
        raise typer.Exit(2)
    typer.echo("`make sim` can work here.")
