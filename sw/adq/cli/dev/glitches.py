"""``adq dev glitches``"""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.synthesis_options import OrderPinsOption, PeriodOption
from adq.cli.tile_options import CACHE, ColumnsOption, RowsOption, TileOption, read_tile


def glitches(
    liberty: Annotated[
        Path, typer.Option(metavar="FILE", help="Liberty file of the library, gzipped or not.")
    ],
    tile: TileOption = Path("configs/tile/64x64.toml"),
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    bits: Annotated[str, typer.Option(metavar="N,...", help="Precisions.")] = "2,4,8,16",
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What to call the library; its own name, if left out."),
    ] = None,
    period: PeriodOption = 2.0,
    order_pins: OrderPinsOption = False,
    confirm: Annotated[
        bool,
        typer.Option("--confirm", help="Count toggles by Icarus Verilog, too, net by net."),
    ] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the factors go.")] = Path(
        "build/glitches"
    ),
) -> None:
    """Measure how much energy glitches take, which simulation without delays leaves out.

    Random jobs, half of whose words are zero, run on the mapped netlist without delays, and every
    cycle again with the delays of static timing. Exit status 1 if Icarus Verilog counts otherwise.
    """
    import dataclasses

    from adq.console import Console, print_whole
    from adq.cost.sources import CostError, numbers
    from adq.energy.glitches import glitch_table, measure_glitches
    from adq.files import write_json
    from adq.golden.files.directory import scratch_directory

    parameters = dataclasses.replace(read_tile(tile, rows, columns), row_blocks=1, partial_sums=0)
    widths = numbers("bits", bits, int)
    for width in widths:
        if width not in parameters.weight_widths:
            valid = ", ".join(map(str, parameters.weight_widths))
            raise CostError(f"--bits {bits}: {width} must be one of {valid}")
    console = Console()
    with (
        console.status("starting") as status,
        scratch_directory(CACHE.parent, "glitches") as scratch,
    ):
        factors = measure_glitches(
            parameters,
            liberty,
            name=name,
            bits=widths,
            period=period,
            order_pins=order_pins,
            directory=scratch,
            cache=CACHE.parent,
            confirm=confirm,
            progress=status.update,
        )
    print_whole(glitch_table(factors), console)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{factors.library}-{parameters.name}.json"
    write_json(path, factors.to_json())
    console.print(f"Written: {path}", highlight=False)
    if any(figure.differing_nets for figure in factors.figures):
        raise typer.Exit(1)
