"""``adq verilog``: writes the tile as Verilog for other projects."""

from pathlib import Path
from typing import Annotated

import typer

import adq
from adq.cli.tile_options import (
    DEFAULT_TILE,
    ColumnsOption,
    RowsOption,
    TileOption,
    read_tile,
)


def verilog(
    tile: TileOption = DEFAULT_TILE,
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    vectors: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Golden artifact: also write a testbench that plays its layers and compares "
            "every result.",
        ),
    ] = None,
    images: Annotated[
        int, typer.Option(metavar="N", min=1, help="Sample images of the artifact to play.")
    ] = 1,
    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Play the first N jobs of each layer (event-driven simulators are slow). "
            "Default: all.",
        ),
    ] = None,
    platform: Annotated[
        str | None,
        typer.Option(
            "--platform",
            metavar="NAME|FILE",
            help="Write a platform in place of a tile, with AXI4-Lite registers and an "
            "AXI4 master.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Output folder.")] = Path(
        "build/verilog"
    ),
) -> None:
    """Write the tile as Verilog with AXI4-Stream ports, for your own project.

    The folder holds the Verilog, the bit offsets of all fields (`interface.json`) and a FuseSoC
    core file. With --vectors it also holds a testbench in Verilog that runs on Icarus Verilog and
    Verilator. With --platform, it holds the platform's Verilog, its registers (`registers.json`)
    and a core file.
    """
    if platform is not None:
        if (tile, rows, columns, vectors) != (DEFAULT_TILE, None, None, None):
            raise typer.BadParameter("give --platform, or a tile and its --vectors")
        _write_platform(platform, out)
        return

    from itertools import islice

    from adq.console import Console
    from adq.files import write_text
    from adq.golden.artifact import read_artifact
    from adq.verif.simulation.layer_work import network_work
    from adq.verif.verilog.package import package_files
    from adq.verif.verilog.vectors import vectors_of

    parameters = read_tile(tile, rows, columns)
    console = Console(markup=False)
    played = None
    with console.status("Writing Verilog"):
        if vectors is not None:
            artifact = read_artifact(vectors)
            count = min(images, len(artifact.samples))
            works = network_work(artifact, parameters, count)
            played = vectors_of(
                parameters, [job for work in works for job in islice(work.jobs, jobs)]
            )
        files = package_files(parameters, played, version=adq.__version__)
        for name, text in files.items():
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, text)
    console.print(
        f"Tile of {parameters.rows} x {parameters.columns}: module adq_tile, Verilog 2005"
    )
    if played is not None:
        console.print(
            f"Testbench: {len(played.jobs):,} jobs, {len(played.results):,} results. In {out}/tb:\n"
            "  iverilog -g2012 -o tb.vvp ../hdl/adq_tile.v adq_tile_tb.v && vvp -N tb.vvp\n"
            "  verilator --binary --timing --top-module adq_tile_tb ../hdl/adq_tile.v "
            "adq_tile_tb.v && obj_dir/Vadq_tile_tb",
            highlight=False,
        )
    for name in files:
        console.print(f"Written: {out / name}", highlight=False)


def _write_platform(name: str, out: Path) -> None:
    """Write a platform's files."""
    from adq.console import Console
    from adq.files import write_text
    from adq.rtl.platform.parameters import PlatformParameters
    from adq.shipped import find_shipped
    from adq.verif.verilog.platform_package import TOP, platform_files

    parameters = PlatformParameters.from_toml(find_shipped("platform", name))
    console = Console(markup=False)
    with console.status("Writing Verilog"):
        files = platform_files(parameters, version=adq.__version__)
        for file, text in files.items():
            path = out / file
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, text)
    console.print(
        f"Platform of {parameters.tiles} tiles of {parameters.rows} x {parameters.columns}: "
        f"module {TOP}, Verilog 2005"
    )
    for file in files:
        console.print(f"Written: {out / file}", highlight=False)
