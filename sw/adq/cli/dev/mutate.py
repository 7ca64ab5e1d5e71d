"""`adq dev mutate`: tests mutants of the hardware with its own tests (`make mutate`)."""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.process_options import ClusterOption, ProcessesOption
from adq.cli.tile_options import CACHE

TARGET = 0.9
"""Share of the mutants not proved equal that the tests should kill."""


def mutate(
    design: Annotated[
        str,
        typer.Option(
            "--design",
            metavar="NAME",
            help="What is mutated: tile, a block of the platform such as walker, or engine: the "
            "tiles of a platform with what is around them, without the bus.",
        ),
    ] = "tile",
    count: Annotated[
        int, typer.Option("--count", metavar="N", min=1, help="Number of mutants.")
    ] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the mutants and the tests.")] = 1,
    only: Annotated[
        str,
        typer.Option("--only", metavar="PART", help="Mutate only this part: shift_add.fuser."),
    ] = "",
    processes: ProcessesOption = None,
    cluster: ClusterOption = "",
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Output folder of outcomes and mutation.json."),
    ] = Path("build/mutation"),
) -> None:
    """Mutate the tile, or a part of the platform, and check that the tests kill the mutants.

    A mutant that no test kills is compared with the design by ABC, within a limit of processor
    time: it is proved equal or stays undecided. These proofs run on this machine, also with
    --cluster. An interrupted campaign resumes where it stopped. The exit status is 1 if fewer than
    90 % of the mutants that are not proved equal are killed.
    """
    import os
    import time

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from adq.console import Console
    from adq.files import write_json
    from adq.verif.parallel.pool_choice import pool_of
    from adq.verif.processes import Processes
    from adq.verif.signoff.mutation.campaign import Campaign, Fate
    from adq.verif.signoff.mutation.designs import DESIGNS

    if design not in DESIGNS:
        raise typer.BadParameter(f"{design} is no design: choose one of {', '.join(DESIGNS)}")
    chosen = DESIGNS[design]()
    console = Console()
    started = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    workers = processes or os.cpu_count() or 1
    with (
        pool_of(cluster, workers=workers, processes=Processes()) as pool,
        Progress(*columns, console=console, transient=True) as progress,
    ):
        task = progress.add_task("making mutants", total=None)
        campaign = Campaign(
            chosen,
            count=count,
            seed=seed,
            only=only,
            directory=out,
            cache=CACHE,
            pool=pool,
            processes=workers,
        )
        progress.update(task, description="building the design with all of them")
        model = campaign.build()

        def began(step, count):
            progress.reset(task, description=step, total=count)

        campaign.run(model, began, lambda: progress.advance(task))

    outcomes = campaign.outcomes()
    counts = {fate: sum(o.fate is fate for o in outcomes) for fate in Fate}
    console.print(_table(outcomes, Fate))
    for outcome in outcomes:
        if outcome.fate is Fate.UNDECIDED:
            mutant = outcome.mutant
            where = ", ".join(mutant.sources) or "no line of its own"
            line = f"{outcome.fate} {mutant.number}: {where}: {mutant.mode} at {mutant.part} "
            line += f"{mutant.place}: {outcome.detail}"
            console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)
    summary = {
        **chosen.described(),
        "seed": seed,
        "only": only,
        **{fate.name.lower(): count for fate, count in counts.items()},
        "score": _score(counts, Fate),
    }
    write_json(out / "totals.json", summary)
    summary |= {
        "seconds": round(time.monotonic() - started, 1),
        "mutants": [outcome.as_dict() for outcome in outcomes],
    }
    write_json(out / "mutation.json", summary)
    score = summary["score"]
    good = score is None or score >= TARGET
    said = ", ".join(f"{count} {fate}" for fate, count in counts.items())
    share = "" if score is None else f": {score:.1%} of those not proved equal killed"
    style = "green" if good else "red"
    console.print(f"seed {seed}: {said}{share}", style=style, highlight=False)
    if not good:
        raise typer.Exit(1)


def _score(counts, fate) -> float | None:
    """Share killed of the mutants that are not proved equal; none where all are."""
    rest = sum(counts.values()) - counts[fate.EQUAL]
    return counts[fate.KILLED] / rest if rest else None


def _table(outcomes, fate):
    from rich.table import Table

    table = Table(title="Mutants")
    table.add_column("part", overflow="fold")
    for heading in ("mutants", *fate, "score"):
        table.add_column(str(heading).lower(), justify="right")
    parts = sorted({outcome.mutant.part for outcome in outcomes})
    for part in (*parts, "total"):
        own = [o for o in outcomes if part in (o.mutant.part, "total")]
        counts = {f: sum(o.fate is f for o in own) for f in fate}
        score = _score(counts, fate)
        table.add_row(
            part,
            str(len(own)),
            *(str(count) for count in counts.values()),
            "-" if score is None else f"{score:.1%}",
            style=None if score is None or score >= TARGET else "yellow",
            end_section=bool(parts) and part == parts[-1],
        )
    return table
