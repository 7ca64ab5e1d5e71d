"""``adq characterize``"""

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


def characterize(
    liberty: Annotated[
        Path, typer.Option(metavar="FILE", help="Liberty file of the library, gzipped or not.")
    ],
    tile: TileOption = DEFAULT_TILE,
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    artifacts: Annotated[
        list[Path] | None,
        typer.Option("--artifact", metavar="DIR", help="Run the layers of an artifact, too."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What to call the library; its own name, if left out."),
    ] = None,
    saif: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Leave netlist and SAIF of 8x8 bits there, for power analyzers."
        ),
    ] = None,
    every: Annotated[
        int, typer.Option(min=1, metavar="N", help="Run one random case of N: for large tiles.")
    ] = 1,
    processes: Annotated[int, typer.Option(min=1, help="Runs side by side.")] = 2,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the runs and their summary go.")
    ] = Path("build/characterize"),
) -> None:
    """Measure a tile's energy in the cells of a library, job by job.

    Maps the tile without its partial sum buffer, simulates the netlist on Verilator, compares every
    result, and gives each transition of each cell the energy of the library's tables. What ran
    before is not run again.
    """
    import dataclasses

    from adq.console import Console
    from adq.energy.gate_level.characterization import (
        Case,
        RandomCase,
        random_cases,
        write_for_analyzers,
    )
    from adq.energy.gate_level.characterization_table import (
        characterization_table,
        characterize_with_bar,
    )
    from adq.energy.gate_level.layer_cases import real_cases
    from adq.files import write_json

    parameters = dataclasses.replace(read_tile(tile, rows, columns), row_blocks=1, partial_sums=0)
    console = Console()
    cases: list[Case] = [*random_cases(every)]
    for artifact in artifacts or []:
        cases += real_cases(artifact)
    found = characterize_with_bar(
        parameters, liberty, cases, console, directory=out / "runs", processes=processes
    )
    found["library"]["name"] = name or found["library"]["name"]
    console.print(characterization_table(found))
    size = f"{parameters.rows}x{parameters.columns}"
    if saif is not None:
        case = RandomCase("uniform", 8, 8, 0.5)
        power = write_for_analyzers(parameters, liberty, case, directory=saif, cache=CACHE.parent)
        told = ", ".join(f"{window} {watts * 1e3:.2f} mW" for window, watts in power.items())
        console.print(f"{case.name}: {told}, in {saif}", highlight=False)
    path = out / f"{found['library']['name']}-{size}.json"
    write_json(path, found)
    console.print(f"Written: {path}", highlight=False)
