"""``adq energy``: computes the energy of networks on the tile."""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.architecture_options import (
    ArchOption,
    BitsOption,
    ChannelsOption,
    ClassesOption,
    ShapeOption,
)
from adq.cli.tile_options import (
    DEFAULT_TILE,
    LIBRARY,
    ColumnsOption,
    LibraryOption,
    RowsOption,
    TileOption,
    read_tile,
)


def energy(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Golden artifacts, and JSON files of training results (results/*.json).",
            metavar="PATH",
        ),
    ] = None,
    arch: ArchOption = None,
    bits: BitsOption = "16",
    channels: ChannelsOption = "",
    density: Annotated[
        str,
        typer.Option(
            metavar="AD,...",
            help="Activation density of the architecture: one number, or one number for each layer "
            "except the last.",
        ),
    ] = "",
    weight_density: Annotated[
        float,
        typer.Option(metavar="D", help="Share of the architecture's weight bits that are 1."),
    ] = 0.5,
    shape: ShapeOption = "3x32x32",
    classes: ClassesOption = 10,
    tile: TileOption = DEFAULT_TILE,
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    library: LibraryOption = LIBRARY,
    coefficients: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Coefficients written by `adq dev energy-fit`. Overrides --library.",
        ),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Number of images that share a weight load. Default: all samples of an artifact, "
            "else 1.",
        ),
    ] = None,
    platform: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="Platform file: tell the energy of the whole platform in place of the tile's.",
        ),
    ] = "",
    figures: Annotated[
        bool, typer.Option("--figures", help="Also draw the energies as figures.")
    ] = False,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Output folder of energy.json and figures.")
    ] = Path("build/energy"),
) -> None:
    """Compute the energy of networks on the tile, and compare it with published figures.

    The energy model uses coefficients fitted to gate-level simulation of the tile. Golden artifacts
    are evaluated with the operands of their samples. Training results and architectures are
    evaluated with their activation densities.

    The exit status is 1 if the coefficients were fitted to another revision of the tile's RTL.
    """
    from rich.markup import escape
    from rich.status import Status

    from adq.console import Console, print_whole
    from adq.cost.sources import architecture_work, numbers
    from adq.energy.coefficients import Coefficients, EnergyError, coefficients_for
    from adq.energy.design_results import predicted_result
    from adq.energy.reports.tables import energy_table, mac_table, notes, ratio_table
    from adq.energy.sources import architecture_energies, artifact_energy, result_energies
    from adq.files import write_json

    if platform:
        others = {
            "--channels": bool(channels),
            "--density": bool(density),
            "--weight-density": weight_density != 0.5,
            "--input": shape != "3x32x32",
            "--classes": classes != 10,
            "--tile": tile != DEFAULT_TILE,
            "--rows": rows is not None,
            "--columns": columns is not None,
            "--coefficients": coefficients is not None,
            "--figures": figures,
        }
        if given := [name for name, is_given in others.items() if is_given]:
            raise EnergyError(f"--platform takes no {', '.join(given)}: leave it out")
        _of_platform(platform, sources or [], arch, bits, library, images, out)
        return
    parameters = read_tile(tile, rows, columns)
    if coefficients is None:
        model = coefficients_for(library, parameters)
    else:
        model = Coefficients.read(coefficients).for_tile(parameters)
    console = Console(markup=False)
    networks = []
    for path in sources or []:
        if path.is_dir():
            with console.status(f"{escape(str(path))}: reading") as status:

                def show(layer: str, path: Path = path, status: Status = status) -> None:
                    status.update(f"{escape(str(path))}: {layer}")

                networks.append(artifact_energy(path, model, images, show))
        else:
            networks += result_energies(path, model, images or 1)
    if arch is not None:
        work = architecture_work(
            arch,
            input_shape=numbers("input", shape, int),
            classes=classes,
            bits=numbers("bits", bits, int),
            channels=numbers("channels", channels, int),
        )
        networks += architecture_energies(
            work,
            model,
            densities=numbers("density", density, float),
            weight_density=weight_density,
            images=images or 1,
        )
    if not networks:
        raise EnergyError(
            "nothing to count: give a golden artifact, a file of results/, or --arch vgg19"
        )
    tables = [energy_table(network) for network in networks]
    if len(networks) > 1:
        tables.append(ratio_table(networks))
    tables.append(mac_table(model))
    for table in tables:
        print_whole(table, console)
    console.print(notes(model, networks), highlight=False, markup=False)
    out.mkdir(parents=True, exist_ok=True)
    write_json(
        out / "energy.json",
        {
            "library": model.library,
            "conditions": model.conditions,
            "tile": {"rows": parameters.rows, "columns": parameters.columns},
            "scaled_from": model.scaled_from,
            "other_revisions": model.other_revisions,
            "provenance": model.provenance,
            "networks": [network.to_json() for network in networks],
            "results": [predicted_result(network, model).to_json() for network in networks],
        },
    )
    console.print(f"Written: {out / 'energy.json'}", highlight=False)
    if figures:
        from adq.energy.reports.energy_figures import draw
        from adq.runs.density_figures import save

        for name, figure in draw(model, networks).items():
            save(figure, out / f"{name}.svg")
            console.print(f"Written: {out / name}.svg", highlight=False)
    if model.other_revisions and coefficients is None:
        raise typer.Exit(1)


def _of_platform(
    platform: str,
    sources: list[Path],
    arch: str | None,
    bits: str,
    library: str,
    images: int | None,
    out: Path,
) -> None:
    """Tell the energy of networks on a whole platform."""
    from dataclasses import asdict

    from adq.console import Console, print_whole
    from adq.cost.sources import numbers
    from adq.energy.coefficients import EnergyError, coefficients_for
    from adq.energy.platform.blocks import platform_blocks
    from adq.energy.platform.sources import BASELINE, artifact_on_platform, shape_on_platform
    from adq.energy.platform.tables import platform_notes, platform_ratios, platform_table
    from adq.files import write_json
    from adq.golden.platform.planning.planner import BATCH
    from adq.rtl.platform.parameters import PlatformParameters
    from adq.shipped import find_shipped

    blocks = platform_blocks()
    parameters = PlatformParameters.from_toml(find_shipped("platform", platform))
    model = coefficients_for(library, parameters.tile)
    blocks.require_same_cells(model)
    batch = images or BATCH
    networks = [
        artifact_on_platform(path, parameters, model, blocks, batch=batch) for path in sources
    ]
    if arch is not None:
        hidden = numbers("bits", bits, int)
        if len(hidden) != 1:
            raise EnergyError(f"bits {bits}: with --platform give one number, of hidden layers")
        networks += [
            shape_on_platform(arch, each, parameters, model, blocks, batch=batch)
            for each in dict.fromkeys((hidden[0], BASELINE))
        ]
    if not networks:
        raise EnergyError(
            "nothing to count: give a golden artifact, or --arch vgg19, with --platform"
        )
    console = Console(markup=False)
    for network in networks:
        print_whole(platform_table(network), console)
    print_whole(platform_ratios(networks), console)
    console.print(platform_notes(blocks, model), highlight=False, markup=False)
    out.mkdir(parents=True, exist_ok=True)
    write_json(
        out / "energy.json",
        {
            "platform": asdict(parameters),
            "library": model.library,
            "other_revisions": [*model.other_revisions, *blocks.other_revisions],
            "images": batch,
            "networks": [network.to_json() for network in networks],
        },
    )
    console.print(f"Written: {out / 'energy.json'}", highlight=False)
    if model.other_revisions or blocks.other_revisions:
        raise typer.Exit(1)
