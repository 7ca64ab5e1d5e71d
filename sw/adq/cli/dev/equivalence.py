"""``adq dev equivalence``"""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.tile_options import CACHE, ColumnsOption, RowsOption, TileOption, read_tile


def equivalence(
    liberty: Annotated[
        Path, typer.Option(metavar="FILE", help="Liberty file of the library, gzipped or not.")
    ],
    tile: TileOption = Path("configs/tile/64x64.toml"),
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    latches: Annotated[
        bool, typer.Option("--latches", help="Hold weights in latches, not in flip-flops.")
    ] = False,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The same for programs.")] = Path(
        "build/equivalence.json"
    ),
) -> None:
    """Prove that a tile's mapped netlist does what its RTL says, block by block.

    Maps the tile without its partial sum buffer. Compares what each register takes next, and each
    output, for all inputs and all states. Exit status 1 if one differs.
    """
    import dataclasses

    from rich.table import Table

    from adq.console import Console
    from adq.files import write_json
    from adq.rtl.tile import Tile
    from adq.verif.liberty.library import Library
    from adq.verif.signoff.formal.netlist_equivalence import Verdict, block_order, prove_netlist
    from adq.verif.synthesis.synthesis import synthesize

    parameters = dataclasses.replace(read_tile(tile, rows, columns), row_blocks=1, partial_sums=0)
    library = Library.read(liberty)
    console = Console()
    size = f"{parameters.rows}x{parameters.columns}"
    with console.status("mapping the tile"):
        synthesis = synthesize(
            Tile(parameters),
            library,
            name="tile",
            latches=latches,
            cache=CACHE.parent / "synthesis",
        )
    with console.status("comparing"):
        found = prove_netlist(Tile(parameters), synthesis, name="tile")
    table = Table(title=f"{size} in {library.name}: netlist against RTL")
    table.add_column("block")
    for verdict in Verdict:
        table.add_column(verdict, justify="right")
    counts = {verdict: found.count(verdict) for verdict in Verdict}
    for block in block_order([each.block for each in found.comparisons]):
        table.add_row(block, *(f"{counts[verdict].get(block, 0):,}" for verdict in Verdict))
    console.print(table)
    out.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "tile": size,
        "library": library.name,
        "library_sha256": library.digest,
        "latches": latches,
        "comparisons": {verdict: dict(counts[verdict]) for verdict in Verdict},
        "ands": found.ands,
        "cpu_seconds": round(found.cpu_seconds, 1),
    }
    write_json(out, content)
    console.print(
        f"{len(found.comparisons):,} next states and outputs, {found.ands:,} gates, "
        f"{found.cpu_seconds:.0f} s of processor time; written: {out}",
        highlight=False,
    )
    for each in found.comparisons:
        if each.verdict is not Verdict.EQUAL:
            console.print(f"{each.name} ({each.block}): {each.verdict}", highlight=False)
    if not found.proved:
        raise typer.Exit(1)
