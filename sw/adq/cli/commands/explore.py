"""``adq explore``: explores a space of tiles, precisions and networks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adq.cli.commands.figures import Format
from adq.cli.process_options import ClusterOption, ProcessesOption, ShardOption
from adq.cli.tile_options import CACHE

if TYPE_CHECKING:
    from adq.console import Console
    from adq.explore.exploration import Exploration, Explorer
    from adq.explore.space import Point

SHOWN = 5
"""Reasons of skipped points that are printed; all are in the JSON."""


def explore(
    space: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE", help="TOML file of a space, or the name of one shipped with adq."
        ),
    ],
    top: Annotated[
        int, typer.Option("--top", metavar="N", min=1, help="Number of points in the table.")
    ] = 10,
    confirm: Annotated[
        int,
        typer.Option(
            "--confirm",
            metavar="N",
            min=0,
            help="Simulate the first N points of the front that have a golden artifact.",
        ),
    ] = 0,
    synthesize: Annotated[
        Path | None,
        typer.Option(
            "--synthesize",
            metavar="FILE",
            help="Synthesize tiles that have no area and clock yet, with this Liberty file.",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail at the first point that cannot be built.")
    ] = False,
    figures: Annotated[
        bool, typer.Option("--figures", help="Also draw the front, the axes and the energy.")
    ] = False,
    format: Annotated[Format, typer.Option(help="Format of the figures.")] = Format.SVG,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Also write the results as Parquet.")
    ] = False,
    processes: ProcessesOption = None,
    cluster: ClusterOption = "",
    shard: ShardOption = "",
    cache: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Folder of results that are kept from space to space."),
    ] = CACHE.parent / "explore" / "cache",
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Output folder. Default: build/explore/NAME."),
    ] = None,
) -> None:
    """Evaluate the points of a space, and show those that no other point beats.

    Energy and cycles are predicted from operands, as by adq energy. Area and clock come from
    syntheses, which --synthesize makes. Points whose content has not changed are read from the
    cache, so that the same command resumes. A space with a recipe in place of a network trains
    the networks of its points, each once, and goes on with a training that was interrupted. A point
    that cannot be built is left out, with its reason. The exit status is 1 if a simulation of
    --confirm differs.
    """
    import os

    from rich.markup import escape
    from rich.progress import Progress

    from adq.console import Console, print_whole
    from adq.explore import confirmation
    from adq.explore.exploration import Explorer
    from adq.explore.outcome.store import Store
    from adq.explore.outcome.tables import confirmation_table, top_table
    from adq.explore.space import ExploreError, Space
    from adq.files import write_json
    from adq.files.outputs import claimed
    from adq.shipped import find_shipped
    from adq.verif.parallel.pool_choice import pool_of
    from adq.verif.parallel.shards import WHOLE, Shard
    from adq.verif.processes import Processes

    console = Console()
    given = Space.read(find_shipped("explore", space))
    folder = out or CACHE.parent / "explore" / given.name
    workers = processes or os.cpu_count() or 1
    # One worker needs no process of its own.
    alone = Processes() if workers == 1 and not cluster else None
    with claimed(folder, alone=True):
        with (
            pool_of(cluster, workers=workers, processes=alone) as pool,
            Progress(console=console, transient=True) as bar,
        ):
            task = bar.add_task("starting", total=None)

            def show(done: int, total: int, stage: str) -> None:
                bar.update(task, completed=done, total=total, description=escape(stage[:60]))

            explorer = Explorer(
                given,
                Store(cache),
                pool,
                liberty=synthesize,
                strict=strict,
                shard=Shard.parse(shard),
                progress=show,
            )
            found = explorer.explore()
        confirmations = []
        if found.front and confirm:
            with console.status("simulating") as status:
                confirmations = confirmation.confirm(
                    found, confirm, out=folder / "confirm", cache=CACHE, progress=status.update
                )
        document = found.to_json() | {"confirmed": [each.to_json() for each in confirmations]}
        write_json(folder / "results.json", document)
        if parquet:
            from adq.explore.outcome.parquet import write_parquet

            write_parquet(found, folder / "results.parquet")
        print_whole(top_table(found, top), console)
        if confirmations:
            print_whole(confirmation_table(confirmations), console)
        _print_notes(found, explorer, console)
        if not found.front and explorer.shard == WHOLE:
            raise ExploreError(
                f"{space}: no point has a figure for each of {', '.join(given.objectives)}: give "
                "the Liberty file as --synthesize, or leave out objectives"
            )
        if figures and found.front:
            from adq.explore.outcome.figures import draw
            from adq.runs.density_figures import save

            for name, figure in draw(found).items():
                save(figure, folder / f"{name}.{format}")
        console.print(f"Written: {folder}", highlight=False, markup=False)
    if any(each.problems for each in confirmations):
        raise typer.Exit(1)


def _print_notes(found: "Exploration", explorer: "Explorer", console: "Console") -> None:
    """Print what a reader has to know of the figures."""

    def say(line: str, style: str | None = None) -> None:
        console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)

    say(f"{len(found.results)} points, of which {explorer.new} are new; energy without leakage.")
    if "recipe" in explorer.space.axes:
        trainer = explorer.trainer
        say(f"{trainer.new} networks are new; runs and golden artifacts lie in {trainer.folder}.")
    for label in dict.fromkeys(label for result in found.front for label in result.labels):
        say(f"- {label}")
    for name, count in found.incomplete.items():
        say(
            f"{count} points have no {name}: their tiles are not synthesized; give a Liberty file "
            "as --synthesize"
            if name != "accuracy"
            else f"{count} points have no accuracy: only results of training and artifacts of adq "
            "export have one",
            "yellow",
        )
    reasons: dict[str, list[Point]] = {}
    for point, reason in found.skipped.items():
        reasons.setdefault(reason, []).append(point)
    for reason, points in list(reasons.items())[:SHOWN]:
        more = f" and {len(points) - 1} more" if len(points) > 1 else ""
        first = points[0].text_of(found.space.varied)
        say(f"left out: {first or points[0]}{more}: {reason}", "yellow")
    if len(reasons) > SHOWN:
        say(f"and points for {len(reasons) - SHOWN} more reasons, see results.json", "yellow")
    for path in explorer.store.damaged:
        say(f"{path} was half-written or damaged, and was made again", "yellow")
