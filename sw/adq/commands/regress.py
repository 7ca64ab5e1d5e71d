"""`adq regress`: the RTL regression, behind `make sim`."""

from pathlib import Path
from typing import Annotated

import typer

from adq.process_options import ProcessesOption
from adq.tile_options import CACHE, ColumnsOption, RowsOption, TileOption, read_tile


def regress(
    artifacts: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DIR]...", help="Golden artifacts to run as well."),
    ] = None,
    tile: TileOption = Path("configs/tile/64x64.toml"),
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    every: Annotated[
        bool, typer.Option("--all", help="Also at every other size on the list: takes long.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the random tests.")] = 1,
    processes: ProcessesOption = None,
    go_on: Annotated[
        bool, typer.Option("--go-on", help="Begin what is left behind a failure, too.")
    ] = False,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where logs and regression.json go.")
    ] = Path("build/regression"),
) -> None:
    """Test blocks of small tiles, then the tile through its ports; run golden artifacts on it.

    Exit status 1 if a test fails or an integer differs. Nothing is begun behind a failure.
    """
    parameters = read_tile(tile, rows, columns)

    from rich.console import Console

    from adq.files import write_json
    from adq.regressions import (
        Reporter,
        failures_small,
        models_in,
        network_bins_missing,
        print_failed_testpoints,
        summary_of,
        under_way,
    )
    from adq.simulation import report_networks, simulate_networks
    from verif import regression, run_lists, testplan
    from verif.runs import Record

    plan = testplan.read_plan()
    console = Console()
    runs = (run_lists.long_runs if every else run_lists.short_runs)(parameters, seed)
    others = {}
    if artifacts:

        def networks(progress):
            return simulate_networks(artifacts, parameters, None, out, CACHE, progress)

        others["networks"] = networks

    def differs(simulated) -> bool:
        return not all(run["agrees"] for run in simulated)

    def fails(result) -> bool:
        bad = result.state != "passed" if isinstance(result, Record) else differs(result)
        return bad and not go_on

    with regression.occupied(out), models_in(CACHE) as models:
        write_json(out / "regression.json", under_way())
        with Reporter(console, plan, len(runs) + len(others)) as reporter:
            result = regression.run_all(
                runs,
                models,
                out,
                others=others,
                workers=processes,
                ends=fails,
                progress=reporter.progress,
                finished=reporter.finished,
            )
        failures_small(result, models, out, console)

    summary, more = {}, {}
    simulated = result.others.get("networks", [])
    if artifacts:
        more["network.every_layer"] = testplan.Outcome.NOT_RUN
    if simulated:
        summary = report_networks(simulated, console)
        summary["simulations"] = summary.pop("runs")
        good = not differs(simulated)
        more["network.every_layer"] = testplan.Outcome("passed" if good else "failed")
    assessments = result.assess(plan, more)
    for network in plan.networks:
        unreached = network_bins_missing(network, simulated)
        if unreached is None:
            continue
        for assessment in assessments:
            if "network.every_layer" in assessment.testpoint.tests:
                outcome = "failed" if unreached else "passed"
                name = f"bins of {network.artifact}"
                assessment.evidence[name] = testplan.Outcome(outcome)
        for pattern in unreached:
            console.print(f"{network.artifact} reaches no bin {pattern}", style="red")
    print_failed_testpoints(assessments, console)
    states = [record.state for record in result.records]
    tests = result.tests()
    failed = (
        sum(test["outcome"] == "failed" for test in tests)
        + states.count("broken")
        + sum(not run["agrees"] for run in simulated)
        + sum(bool(network_bins_missing(network, simulated)) for network in plan.networks)
    )
    passed = sum(test["outcome"] == "passed" for test in tests)
    passed += sum(run["agrees"] for run in simulated)
    whole = not result.not_run and bool(simulated) == bool(artifacts)
    summary |= summary_of(result, assessments, simulated)
    summary |= {
        "state": "finished" if whole else "ended behind a failure",
        "tile": f"{parameters.rows}x{parameters.columns}",
        "passed": passed,
        "failed": failed,
        "seed": seed,
    }
    write_json(out / "regression.json", summary)
    console.print(
        f"{parameters.rows}x{parameters.columns} tile, seed {seed}; logs in {out}", highlight=False
    )
    if not whole:
        left = [*summary["not_run"], *([] if simulated or not artifacts else ["networks"])]
        console.print(f"Not run: {', '.join(left)}", style="yellow", highlight=False)
    console.print(f"{passed} passed, {failed} failed", style="red" if failed else "green")
    if failed:
        raise typer.Exit(1)
