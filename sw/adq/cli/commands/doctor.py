"""`adq doctor`: is everything here that simulation and training need?"""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.tile_options import CACHE


def doctor(
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the findings here too.")
    ] = None,
) -> None:
    """Check this machine's tools, and give the command that mends each problem.

    Exit status 0 if `make sim` can work, 2 if not. What only training or replaying
    needs does not count.
    """
    if json is not None and not json.absolute().parent.is_dir():
        raise typer.BadParameter(
            f"{json.parent} is no folder; make it with: mkdir -p {json.parent}"
        )

    from dataclasses import asdict

    from rich.table import Table
    from rich.text import Text

    from adq.console import Console
    from adq.files import write_json
    from adq.machine import Status, examine

    colours = {Status.OK: "green", Status.OPTIONAL_MISSING: "yellow"}
    findings = examine(CACHE)
    table = Table("tool", "status", "found", "mended by", title="Tools of this machine")
    for finding in findings:
        table.add_row(
            finding.tool,
            Text(finding.status, style=colours.get(finding.status, "red")),
            Text(finding.found, overflow="fold"),
            Text(finding.mend or "", overflow="fold"),
        )
    Console().print(table)

    problems = [finding for finding in findings if finding.prevents_simulation]
    if json is not None:
        write_json(json, {"can_simulate": not problems, "tools": [asdict(f) for f in findings]})
    for finding in problems:
        line = f"{finding.tool} is {finding.status}: {finding.found}; mend it with: {finding.mend}"
        typer.echo(line, err=True)
    if problems:
        raise typer.Exit(2)
    typer.echo("`make sim` can work here.")
