"""`adq map`: plans an artifact on a tile, with the cycles and utilization of each layer."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adq.cli.tile_options import (
    DEFAULT_TILE,
    ColumnsOption,
    ImagesOption,
    RowsOption,
    TileOption,
    read_tile,
)

if TYPE_CHECKING:
    from rich.table import Table

    from adq.design_result import DesignResult
    from adq.golden.mapping.utilization import LayerUse
    from adq.rtl.parameters import TileParameters


def map(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Golden artifact to plan.")],
    tile: TileOption = DEFAULT_TILE,
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    images: ImagesOption = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Output folder of the result (JSON).")
    ] = Path("build/map"),
) -> None:
    """Show jobs, weight loads, cycles and utilization of an artifact on a tile.

    The cycles are exact for the sample images, run one after another. They depend on the images
    because leading all-zero planes are skipped.
    """
    from dataclasses import asdict

    from rich.markup import escape

    from adq.cli.result_path import result_path
    from adq.console import Console, print_whole
    from adq.files import write_json
    from adq.golden.artifact import read_artifact
    from adq.golden.mapping.utilization import use_of_network

    parameters = read_tile(tile, rows, columns)
    console = Console(markup=False)
    with console.status(f"{escape(str(directory))}: planning"):
        artifact = read_artifact(directory)
        uses = use_of_network(artifact.network, artifact.samples, parameters, images)
    images = min(images or len(artifact.samples), len(artifact.samples))
    plural = "s" if images > 1 else ""
    title = f"{directory} on {parameters.rows}x{parameters.columns}, {images} image{plural}"
    table = _table(title, uses)
    print_whole(table, console)
    console.print(
        "Useful and lost: shares of R x C bit products in all cycles. sign: columns that repeat a "
        "weight's sign. rows, columns: without a weight. zeros: vectors of zeros. starts: between "
        "jobs. waits: for weights, and for the last results.",
        highlight=False,
    )
    path = result_path(directory, out)
    write_json(
        path,
        {
            "artifact": str(directory),
            "tile": asdict(parameters),
            "images": images,
            "cycles": sum(use.cycles for use in uses),
            "layers": [
                asdict(use) | {"capacity": use.capacity, "utilization": use.utilization}
                for use in uses
            ],
            "results": [_result(str(directory), uses, parameters, images).to_json()],
        },
    )
    console.print(f"Written: {path}", highlight=False)


def _result(
    network: str, uses: "list[LayerUse]", tile: "TileParameters", images: int
) -> "DesignResult":
    """Return the planned cycles in the shape that all commands share."""
    from dataclasses import asdict

    from adq.design_result import DesignResult, LayerResult, Method

    layers = tuple(
        LayerResult(
            name=use.layer,
            macs=use.vectors * use.rows * use.outputs // images,
            weight_bits=use.tile_weight_bits,
            activation_bits=use.activation_bits,
            cycles=use.cycles / images,
        )
        for use in uses
    )
    return DesignResult(
        network=network,
        method=Method.PLANNED,
        tile=asdict(tile),
        library="",
        images=images,
        cycles=sum(layer.cycles for layer in layers),
        layers=layers,
    )


def _table(title: str, uses: "list[LayerUse]") -> "Table":
    from rich.table import Table

    table = Table(title=title)
    table.add_column("layer")
    for heading in ("kw x kx", "rows x outputs", "vectors", "jobs", "loads", "cycles", "skipped"):
        table.add_column(heading, justify="right")
    for heading in ("useful", *uses[0].lost):
        table.add_column(heading, justify="right")

    def shares(of: "list[LayerUse]") -> list[str]:
        capacity = sum(use.capacity for use in of)
        parts = [sum(use.useful for use in of)]
        parts += [sum(use.lost[cause] for use in of) for cause in of[0].lost]
        return [f"{part / capacity:.1%}" for part in parts]

    for use in uses:
        groups = f"{use.groups} x " if use.groups > 1 else ""
        table.add_row(
            use.layer,
            f"{use.tile_weight_bits}x{use.activation_bits}",
            f"{groups}{use.rows} x {use.outputs // use.groups}",
            f"{use.vectors:,}",
            f"{use.jobs:,}",
            f"{use.weight_loads:,}",
            f"{use.cycles:,}",
            f"{use.skipped_planes:,}",
            *shares([use]),
        )
    table.add_section()
    totals = ("vectors", "jobs", "weight_loads", "cycles", "skipped_planes")
    sums = [f"{sum(getattr(use, name) for use in uses):,}" for name in totals]
    table.add_row("total", "", "", *sums, *shares(uses))
    return table
