"""``adq dev gate-level``: simulates networks at gate level."""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.process_options import ClusterOption
from adq.cli.tile_options import DEFAULT_TILE, ColumnsOption, RowsOption, TileOption, read_tile


def gate_level(
    artifacts: Annotated[
        list[Path], typer.Argument(metavar="DIR", help="Golden artifacts to simulate.")
    ],
    liberty: Annotated[
        Path,
        typer.Option(metavar="FILE", help="Liberty file of the cell library; may be gzipped."),
    ],
    tile: TileOption = DEFAULT_TILE,
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    images: Annotated[int, typer.Option(min=1, help="Number of sample images to run.")] = 1,
    coefficients: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Coefficients of the energy model. Default: those fitted to the Liberty file.",
        ),
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Number of parallel simulations.")] = 2,
    cluster: ClusterOption = "",
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Output folder of the simulations and the summary.")
    ] = Path("build/gate-level"),
) -> None:
    """Simulate whole images at gate level, and compare the energy with the energy model.

    Every job of every layer runs on the mapped netlist, one row block at a time. All nets are
    counted, and every result is compared. Completed simulations are reused.
    """
    import dataclasses

    from adq.console import Console, print_whole
    from adq.energy.coefficients import Coefficients, coefficients_of
    from adq.energy.gate_level.characterization_table import characterize_with_bar
    from adq.energy.gate_level.gate_networks import gate_network, gate_table
    from adq.energy.gate_level.layer_cases import network_cases
    from adq.files import write_json
    from adq.verif.parallel.pool_choice import pool_of

    artifacts = list(dict.fromkeys(artifacts))
    parameters = read_tile(tile, rows, columns)
    single = dataclasses.replace(parameters, row_blocks=1, partial_sums=0)
    console = Console()
    with console.status("reading"):
        cases = [case for path in artifacts for case in network_cases(path, parameters, images)]
    with pool_of(cluster, workers=processes) as pool:
        found = characterize_with_bar(
            single, liberty, cases, console, directory=out / "runs", pool=pool
        )
    if coefficients is None:
        model = coefficients_of(found["library"]["sha256"], single)
    else:
        model = Coefficients.read(coefficients).for_tile(single)
    networks = [gate_network(path, cases, found, model) for path in artifacts]
    print_whole(gate_table(networks, found, images, model), console)
    path = out / "gate-level.json"
    told = [dataclasses.asdict(network) for network in networks]
    write_json(path, {key: found[key] for key in found if key != "runs"} | {"networks": told})
    console.print(f"Written: {path}", highlight=False)
