"""`adq dev report`: collects all results on one page (`make report`)."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    build: Annotated[
        Path, typer.Option("--build", metavar="DIR", help="Folder with the results of commands.")
    ] = Path("build"),
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Output folder of report.html and report.json."),
    ] = Path("build/report"),
) -> None:
    """Collect the results of all commands in one HTML page and one JSON file.

    Results that are missing are listed with the command that produces them. The page needs neither
    network access nor scripts.
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
