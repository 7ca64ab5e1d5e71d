"""``adq dev partial-sums``"""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.tile_options import CACHE, ColumnsOption, RowsOption, TileOption, read_tile


def partial_sums(
    arch: Annotated[str, typer.Option(help="Architecture.")] = "vgg19",
    hidden_bits: Annotated[
        int, typer.Option(metavar="K", help="Of all layers but the first and the last: 16 bits.")
    ] = 2,
    tile: TileOption = Path("configs/tile/64x64.toml"),
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    liberty: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Measure the buffer's flip-flops anew in this library."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The same for programs.")] = Path(
        "build/partial-sums.json"
    ),
) -> None:
    """Tell what partial sums add to a network's energy, in flip-flops as built and in SRAM.

    Beside it uniform networks of 4, 8 and 16 bits. Energies of the array are the model's, random
    operands, half of the words zero, with the glitch factor of each layer's precision.
    """
    from adq.console import Console, print_whole
    from adq.energy.memory import partial_sums as buffers
    from adq.energy.reports.network_comparison import compare_networks, comparison_table
    from adq.files import write_json

    console = Console()
    if liberty is not None:
        with console.status("measuring the buffer at gate level"):
            measured = buffers.measure_partial_sums(
                liberty,
                name="nangate45",
                size=16,
                row_blocks=8,
                directory=CACHE.parent / "partial-sums",
                cache=CACHE.parent,
            )
        write_json(buffers.FILE, measured.to_json())
        console.print(f"Written: {buffers.FILE}", highlight=False)
    with console.status("planning"):
        found = compare_networks(arch, hidden_bits, read_tile(tile, rows, columns))
    print_whole(comparison_table(found), console)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(out, found.to_json())
    console.print(f"Written: {out}", highlight=False)
