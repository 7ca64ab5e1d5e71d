"""`adq dev report`: all that was verified and measured on one page, behind `make report`."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    build: Annotated[
        Path, typer.Option("--build", metavar="DIR", help="Where commands left their results.")
    ] = Path("build"),
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where report.html and report.json go.")
    ] = Path("build/report"),
) -> None:
    """Gather the results of all commands into one HTML page, and the same as JSON.

    What was not run is said, with the command that does. The page needs no network and no script.
    """
    from rich.table import Table

    from adq.console import Console
    from adq.files import write_json, write_text
    from adq.signoff.report.content import gather
    from adq.signoff.report.page import render

    content = gather(build)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "report.json", content)
    write_text(out / "report.html", render(content))
    console = Console()
    table = Table(title="Report")
    for heading in ("section", "state", "summary"):
        table.add_column(heading, overflow="fold")
    for section in content["sections"].values():
        said = section["summary"]
        if section["state"] == "not run":
            said = f"run {section['command']}"
        table.add_row(section["title"], section["state"], said)
    console.print(table)
    console.print(f"Written: {out / 'report.html'}", highlight=False)
