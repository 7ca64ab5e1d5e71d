"""``adq verify``"""

from pathlib import Path
from typing import Annotated

import typer


def verify(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Golden artifact.")],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the result goes, as JSON.")
    ] = Path("build/verify"),
) -> None:
    """Check an artifact, recompute its samples, and say node by node what agrees.

    Exit status 1 if an integer differs, 2 if the artifact cannot be read.
    """
    import dataclasses

    from rich.console import Console
    from rich.table import Table

    from adq.files import write_json
    from golden.artifact import read_artifact, verify_artifact

    console = Console()
    with console.status(f"{directory}: verifying"):
        artifact = read_artifact(directory)
        nodes = verify_artifact(artifact)
    agrees = all(node.agrees for node in nodes)

    table = Table(title=f"{directory}: {len(artifact.samples)} images recomputed")
    for heading in ("node", "operation"):
        table.add_column(heading)
    for heading in ("integers", "differing"):
        table.add_column(heading, justify="right")
    table.add_column("first difference", overflow="fold")
    for node in nodes:
        table.add_row(
            node.node,
            node.operation,
            f"{node.integers:,}",
            f"{node.differing:,}",
            node.first_difference or "",
            style=None if node.agrees else "red",
        )
    console.print(table)
    console.print("All integers agree." if agrees else "[red]Integers differ: export again.[/]")
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{directory.resolve().name}.json"
    write_json(
        path,
        {
            "artifact": str(directory),
            "images": len(artifact.samples),
            "agrees": agrees,
            "nodes": [dataclasses.asdict(node) for node in nodes],
        },
    )
    console.print(f"Written: {path}", highlight=False)
    if not agrees:
        raise typer.Exit(1)
