"""``adq place``: places a tile in the cells of a library."""

import enum
from pathlib import Path
from typing import Annotated

import typer

from adq.cli.tile_options import (
    CACHE,
    DEFAULT_TILE,
    ColumnsOption,
    RowsOption,
    TileOption,
    read_tile,
)


class Picture(enum.StrEnum):
    """Format of the picture of the die."""

    SVG = "svg"
    PNG = "png"
    NONE = "none"


def place(
    liberty: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            envvar="ADQ_LIBERTY",
            help="Liberty file of the cell library; may be gzipped.",
        ),
    ],
    tile: TileOption = DEFAULT_TILE,
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    geometry: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="TOML file with row height, site and wires. Default: the one shipped for the "
            "library.",
        ),
    ] = None,
    lef: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="LEF file of the cells. Default: sizes follow from areas."
        ),
    ] = None,
    utilization: Annotated[
        float, typer.Option(metavar="SHARE", help="Area of the cells over the area of the die.")
    ] = 0.7,
    aspect: Annotated[float, typer.Option(metavar="RATIO", help="Height over width.")] = 1.0,
    period: Annotated[
        float, typer.Option(min=0.01, metavar="NS", help="Clock period to reach.")
    ] = 2.0,
    effort: Annotated[int, typer.Option(min=1, max=9, help="Effort of the placer.")] = 3,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the placer.")] = 1,
    activity: Annotated[
        bool,
        typer.Option(
            "--activity",
            help="Simulate random jobs first, and place nets that switch more often shorter.",
        ),
    ] = False,
    picture: Annotated[Picture, typer.Option(help="Format of the picture.")] = Picture.SVG,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Output folder. Default: build/place/LIBRARY-ROWSxCOLUMNS."
        ),
    ] = None,
) -> None:
    """Place a tile: positions, wires, drive strengths, clock tree, timing.

    The command maps the tile without its partial sum buffer. It writes Verilog, DEF, SPEF, SDC and
    a picture of the die. Placements are cached by content.
    """
    import dataclasses
    import tempfile

    from adq.console import Console, print_whole
    from adq.layout.activity import weigh_by_activity
    from adq.layout.files import placement_summary, placement_table, write_design
    from adq.rtl.tile import Tile
    from adq.verif.gate_level.tile import GateLevelTile
    from adq.verif.liberty.library import Library
    from adq.verif.placement.cache import place_cached
    from adq.verif.placement.geometry import Geometry
    from adq.verif.placement.placed import PlaceOptions
    from adq.verif.placement.placer import require_placer
    from adq.verif.synthesis.synthesis import synthesize

    require_placer()  # before the tile is mapped
    parameters = dataclasses.replace(read_tile(tile, rows, columns), row_blocks=1, partial_sums=0)
    library = Library.read(liberty)
    found = Geometry.read(library, path=geometry, lef=lef)
    options = PlaceOptions(
        utilization=utilization, aspect=aspect, effort=effort, seed=seed, period=period
    )
    console = Console()
    placing: list[str] = []  # stages, none where the placement is read from the cache
    with console.status("mapping the tile") as status:

        def progress(stage: str) -> None:
            placing.append(stage)
            status.update(stage)

        synthesis = synthesize(
            Tile(parameters), library, name="tile", period=period, cache=CACHE.parent / "synthesis"
        )
        weights = None
        if activity:
            status.update("building the model of the mapped tile")
            mapped = GateLevelTile(parameters, library, cache=CACHE.parent, synthesis=synthesis)
            with tempfile.TemporaryDirectory(prefix="place-", dir=CACHE.parent) as scratch:
                weights = weigh_by_activity(mapped, (2, 4, 8, 16), Path(scratch), status.update)
        design = place_cached(
            synthesis.netlist,
            library,
            found,
            clock="clk",
            cache=CACHE.parent / "placement",
            options=options,
            weights=weights,
            progress=progress,
        )
        spent = _spent() if placing else None
        status.update("timing and writing")
        summary = placement_summary(
            design,
            tile=parameters,
            wire_load_ns=synthesis.timing.delay,
            clock="clk",
            spent=spent,
        )
        folder = out or Path("build/place") / f"{library.name}-{parameters.name}"
        pictures = () if picture == Picture.NONE else (picture.value,)
        written = write_design(design, summary, folder, pictures=pictures)
    print_whole(placement_table(summary), console)
    for path in written:
        console.print(f"Written: {path}", highlight=False)


def _spent() -> dict[str, float]:
    """Processor seconds and peak memory of this process, and of those that it ran."""
    import resource

    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "processor_s": sum(each.ru_utime + each.ru_stime for each in used),
        "peak_mb": max(each.ru_maxrss for each in used) / 1000,
    }
