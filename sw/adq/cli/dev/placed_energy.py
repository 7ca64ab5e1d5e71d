"""``adq dev placed-energy``"""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.synthesis_options import PeriodOption
from adq.cli.tile_options import CACHE, ColumnsOption, RowsOption, TileOption, read_tile


def placed_energy(
    liberty: Annotated[
        Path,
        typer.Option(metavar="FILE", envvar="ADQ_LIBERTY", help="Liberty file of the library."),
    ],
    tile: TileOption = "64x64",
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    bits: Annotated[str, typer.Option(metavar="N,...", help="Precisions.")] = "2,4,8,16",
    glitches: Annotated[bool, typer.Option(help="Simulate every cycle again with delays.")] = True,
    activity: Annotated[
        bool, typer.Option(help="Weight nets by the switching of the mapped tile.")
    ] = True,
    period: PeriodOption = 2.0,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the library in the results.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Output folder.")] = Path(
        "build/placed-energy"
    ),
) -> None:
    """Measure the energy of a tile as placed: wires, clock tree, glitches, partial sums.

    Random jobs, half of whose words are zero, run on the netlist with the wire load model's wires,
    with those of its placement, and as weighted, sized and clocked by place. The mapped netlist is
    simulated once: what is placed has the same logic, which is checked, and other buffers.
    """
    import dataclasses
    import tempfile

    from adq.console import Console, print_whole
    from adq.cost.sources import numbers
    from adq.files import write_json
    from adq.layout.pictures import draw_blocks, draw_power, save_picture
    from adq.layout.placed_energy import measure_placed
    from adq.layout.placed_energy_table import placed_table

    parameters = dataclasses.replace(read_tile(tile, rows, columns), row_blocks=1, partial_sums=0)
    console = Console()
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    with (
        console.status("starting") as status,
        tempfile.TemporaryDirectory(prefix="placed-", dir=CACHE.parent) as scratch,
    ):
        figures, power = measure_placed(
            parameters,
            liberty,
            name=name,
            bits=numbers("bits", bits, int),
            glitches=glitches,
            activity=activity,
            period=period,
            directory=Path(scratch),
            cache=CACHE.parent,
            progress=status.update,
        )
    print_whole(placed_table(figures), console)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{figures.library}-{figures.tile.name}.json"
    write_json(path, figures.to_json())
    console.print(f"Written: {path}", highlight=False)
    size = figures.tile.name
    pictures = {
        f"die-{size}.png": draw_blocks(power.design),
        f"power-{size}.png": draw_power(
            power.design, power.milliwatts, f"Power at {power.bits}x{power.bits} bits"
        ),
    }
    for file, figure in pictures.items():
        save_picture(figure, out / file)
        console.print(f"Written: {out / file}", highlight=False)
