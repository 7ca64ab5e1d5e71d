"""``adq dev named-networks``: simulates networks that people bring on the tile's RTL."""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.tile_options import CACHE, ColumnsOption, RowsOption, TileOption, read_tile


def named_networks(
    tile: TileOption = "64x64",
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Output folder of artifacts and networks.json.")
    ] = Path("build/named-networks"),
) -> None:
    """Simulate named networks with random weights on the tile's RTL, an image each.

    The first and the last layer have 8 bits, the others 4, 2 and 3 in turn. The exit status is 1 if
    an integer differs, a layer does not take the planned cycles, or a prediction of energy fails.
    """
    from dataclasses import asdict

    from adq.benchmarks.simulated_networks import simulate_named
    from adq.console import Console
    from adq.files import write_json

    parameters = read_tile(tile, rows, columns)
    console = Console()
    found = []
    with console.status("starting") as status:
        for result in simulate_named(parameters, out, CACHE, status.update):
            found.append(result)
            mismatches = sum(layer["mismatches"] for layer in result["layers"])
            console.print(f"{result['network']}: {mismatches} mismatches")
    path = out / "networks.json"
    write_json(path, {"tile": asdict(parameters), "networks": found})
    console.print(f"Written: {path}", highlight=False)
    if not all(result["agrees"] for result in found):
        raise typer.Exit(1)
