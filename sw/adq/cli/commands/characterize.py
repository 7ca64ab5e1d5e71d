"""``adq characterize``: measures the energy of a tile at gate level."""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.process_options import ClusterOption
from adq.cli.tile_options import (
    CACHE,
    DEFAULT_TILE,
    ColumnsOption,
    RowsOption,
    TileOption,
    read_tile,
)


def characterize(
    liberty: Annotated[
        Path,
        typer.Option(metavar="FILE", help="Liberty file of the cell library; may be gzipped."),
    ],
    tile: TileOption = DEFAULT_TILE,
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    artifacts: Annotated[
        list[Path] | None,
        typer.Option(
            "--artifact",
            metavar="DIR",
            help="Also run the layers of a golden artifact. May be repeated.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Name of the library in the results. Default: its own name, with `-placed` or "
            "`-latches` behind it where these are asked for.",
        ),
    ] = None,
    placed: Annotated[
        bool,
        typer.Option(
            "--placed",
            help="Place the tile: energies of the placed wires, with clock tree and glitches.",
        ),
    ] = False,
    latches: Annotated[
        bool, typer.Option("--latches", help="Hold weights in latches, not in flip-flops.")
    ] = False,
    saif: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Also write the netlist and the SAIF of a job with 8-bit weights and activations "
            "to this folder, for power analyzers.",
        ),
    ] = None,
    every: Annotated[
        int, typer.Option(min=1, metavar="N", help="Run every Nth random case, for large tiles.")
    ] = 1,
    processes: Annotated[int, typer.Option(min=1, help="Number of parallel simulations.")] = 2,
    cluster: ClusterOption = "",
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Output folder of the simulations and the summary.")
    ] = Path("build/characterize"),
) -> None:
    """Measure the energy of a tile in the cells of a library, for each job.

    The command maps the tile without its partial sum buffer, simulates the netlist on Verilator and
    compares every result. Each transition of a cell is charged with the energy of the library's
    tables. Completed simulations are reused.

    Wires are those of the library's wire load model, without clock tree and glitches. With
    --placed the tile is placed, nets weighted by their activity, and every cycle is simulated again
    with the delays of its wires.
    """
    import dataclasses

    from adq.console import Console
    from adq.energy.gate_level.characterization import (
        Case,
        open_latched,
        open_mapped,
        write_for_analyzers,
    )
    from adq.energy.gate_level.characterization_table import (
        characterization_table,
        characterize_with_bar,
    )
    from adq.energy.gate_level.layer_cases import real_cases
    from adq.energy.gate_level.random_cases import RandomCase, random_cases
    from adq.files import write_json
    from adq.layout.placed_tile import open_placed
    from adq.verif.parallel.pool_choice import pool_of

    if placed and saif is not None:
        raise typer.BadParameter(
            "--saif writes the mapped netlist, without wires: leave --placed out, or see "
            "`adq place` for the placed one"
        )
    if placed and latches:
        raise typer.BadParameter("--latches: tiles are placed with flip-flops; leave --placed out")
    open_tile = open_placed if placed else open_latched if latches else open_mapped
    parameters = dataclasses.replace(read_tile(tile, rows, columns), row_blocks=1, partial_sums=0)
    console = Console()
    cases: list[Case] = [*random_cases(every)]
    for artifact in artifacts or []:
        cases += real_cases(artifact)
    with pool_of(cluster, workers=processes) as pool:
        found = characterize_with_bar(
            parameters,
            liberty,
            cases,
            console,
            directory=out / "runs",
            pool=pool,
            open_tile=open_tile,
        )
    own_name = found["library"]["name"]
    suffix = "-placed" if placed else "-latches" if latches else ""
    found["library"]["name"] = name or f"{own_name}{suffix}"
    console.print(characterization_table(found))
    if saif is not None:
        case = RandomCase("uniform", 8, 8, 0.5)
        power = write_for_analyzers(
            parameters, liberty, case, latches=latches, directory=saif, cache=CACHE.parent
        )
        told = ", ".join(f"{window} {watts * 1e3:.2f} mW" for window, watts in power.items())
        console.print(f"{case.name}: {told}, in {saif}", highlight=False)
    path = out / f"{found['library']['name']}-{parameters.name}.json"
    write_json(path, found)
    console.print(f"Written: {path}", highlight=False)
