"""`adq dev replay`: repeats a run with a waveform."""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.tile_options import CACHE


def replay(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="ID of a run, or file of a reduced case.")
    ],
    test: Annotated[
        str,
        typer.Option("--test", metavar="NAME", help="Replay only this test, with its parameters."),
    ] = "",
    small: Annotated[
        bool, typer.Option("--small", help="First reduce the failing test to a small case.")
    ] = False,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Output folder of the waveform.")
    ] = Path("build/replay"),
) -> None:
    """Repeat a run of a regression from its seed, and write a waveform.

    The command also writes save files for Surfer and GTKWave. The exit status is 1 if a test fails.
    """
    from adq.console import Console
    from adq.signoff.regressions import models_in
    from adq.verif.signoff.replay.reducing import read_small, reduce_failure
    from adq.verif.signoff.replay.replaying import replay_run

    console = Console()
    where, cases = read_small(run)
    directory = out / where.id
    if small and test:
        with models_in(CACHE) as models, console.status("making it small") as status:
            path = reduce_failure(where, models, test, directory / "small", progress=status.update)
        if path is None:
            console.print("It does not fail again from reset alone: replaying the test itself.")
        else:
            cases = path
            console.print(f"Small case: {path}", highlight=False)
    with models_in(CACHE, fst=True) as models, console.status(f"{where.id}: replaying"):
        replayed = replay_run(where, models, directory, test=test, cases=cases)
    for result in replayed.results:
        if not result.passed:
            line = f"FAIL {result.name}: {result.message}"
            console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
    failed = sum(not result.passed for result in replayed.results)
    console.print(f"{len(replayed.results) - failed} passed, {failed} failed")
    for line in (
        f"Waveform: {replayed.wave}",
        f"  surfer --command-file {replayed.surfer}",
        f"  gtkwave {replayed.gtkwave}",
    ):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if failed:
        raise typer.Exit(1)
