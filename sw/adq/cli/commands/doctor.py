"""``adq doctor``: checks the tools on this machine."""

import typer

from adq.cli.tile_options import CACHE


def doctor() -> None:
    """Check the tools on this machine, and show a command that fixes each problem.

    The exit status is 0 if `make sim` can run, and 2 if not. Tools that only training or replay
    need do not affect it.
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
