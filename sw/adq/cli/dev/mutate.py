"""`adq dev mutate`: mutants of the hardware under the regression's tests, behind `make mutate`."""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.tile_options import CACHE


def mutate(
    count: Annotated[
        int, typer.Option("--count", metavar="N", min=1, help="Mutants to make.")
    ] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="Which mutants, and the tests' seed.")] = 1,
    only: Annotated[
        str,
        typer.Option("--only", metavar="PART", help="Of this part alone, as in shift_add.fuser."),
    ] = "",
    processes: Annotated[
        int | None,
        typer.Option("--processes", metavar="N", min=1, help="At a time; one a processor."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where outcomes and mutation.json go.")
    ] = Path("build/mutation"),
) -> None:
    """Change a tile in a thousand places, one at a time, and see that the tests notice.

    A mutant that no test kills is compared with the tile by proof: only one that can be told from
    it counts. What was interrupted goes on where it was. Exit status 1 if a mutant survives.
    """
    import os
    import time
    from dataclasses import asdict

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from adq.console import Console
    from adq.files import write_json
    from adq.verif.signoff.mutation.campaign import TILE, Campaign, Fate

    console = Console()
    started = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("making mutants", total=None)
        campaign = Campaign(
            count=count,
            seed=seed,
            only=only,
            directory=out,
            cache=CACHE,
            processes=processes or os.cpu_count() or 1,
        )
        progress.update(task, description="building the tile with all of them")
        model = campaign.build()

        def began(step, count):
            progress.reset(task, description=step, total=count)

        campaign.run(model, began, lambda: progress.advance(task))

    outcomes = campaign.outcomes()
    counts = {fate: sum(o.fate is fate for o in outcomes) for fate in Fate}
    console.print(_table(outcomes, Fate))
    for outcome in outcomes:
        if outcome.fate in (Fate.SURVIVED, Fate.UNDECIDED):
            mutant = outcome.mutant
            where = ", ".join(mutant.sources) or "no line of its own"
            line = f"{outcome.fate} {mutant.number}: {where}: {mutant.mode} at {mutant.part} "
            line += f"{mutant.place}: {outcome.detail}"
            console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
    summary = {
        "tile": asdict(TILE),
        "seed": seed,
        "only": only,
        **{fate.name.lower(): count for fate, count in counts.items()},
        "score": _score(counts, Fate),
        "seconds": round(time.monotonic() - started, 1),
        "mutants": [outcome.as_dict() for outcome in outcomes],
    }
    write_json(out / "mutation.json", summary)
    alive = counts[Fate.SURVIVED] + counts[Fate.UNDECIDED]
    console.print(
        f"seed {seed}: {counts[Fate.KILLED]} of {counts[Fate.KILLED] + alive} mutants that are not "
        f"equivalent killed",
        style="red" if alive else "green",
        highlight=False,
    )
    if alive:
        raise typer.Exit(1)


def _score(counts, fate) -> float | None:
    """Share killed of those that are not equivalent; none where all are."""
    rest = sum(counts.values()) - counts[fate.EQUIVALENT]
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
            style=None if score in (None, 1) else "red",
            end_section=bool(parts) and part == parts[-1],
        )
    return table
