"""`adq dev regress`: runs the RTL regression (`make sim`)."""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.process_options import ClusterOption, CollectOption, ProcessesOption, ShardOption
from adq.cli.tile_options import (
    CACHE,
    DEFAULT_TILE,
    ColumnsOption,
    RowsOption,
    TileOption,
    read_tile,
)


def regress(
    artifacts: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DIR", help="Golden artifacts to simulate as well."),
    ] = None,
    tile: TileOption = DEFAULT_TILE,
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    every: Annotated[
        bool, typer.Option("--all", help="Also test all other tile sizes. This takes long.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="BLOCK[.TEST]",
            help="Run nothing but the tests of a block, such as walker, or a test, such as "
            "tile.extremes. May be repeated.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the random tests.")] = 1,
    processes: ProcessesOption = None,
    cluster: ClusterOption = "",
    shard: ShardOption = "",
    collect: CollectOption = None,
    go_on: Annotated[
        bool, typer.Option("--go-on", help="Start further runs after a failure.")
    ] = False,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Output folder of logs and regression.json."),
    ] = Path("build/regression"),
) -> None:
    """Run the RTL regression: block tests, tile tests, and golden artifacts on the tile.

    Block tests use small tiles. No further run starts after a failure, unless --go-on is given. The
    exit status is 1 if a test fails, an integer differs, or the energy predicted from a layer's
    operands differs from that of the counted switching. Artifacts are simulated on this machine,
    also with --cluster, and not with --shard or --collect.
    """
    parameters = read_tile(tile, rows, columns)

    from adq.console import Console
    from adq.files import write_json
    from adq.signoff.regressions import (
        failures_small,
        models_in,
        network_tests,
        print_failed_testpoints,
        run_or_collect,
        summary_of,
        under_way,
    )
    from adq.simulation import report_networks, simulate_networks
    from adq.verif.parallel.shards import Shard
    from adq.verif.parallel.worker import ParallelError
    from adq.verif.signoff.plan import testplan
    from adq.verif.signoff.regression import collecting, run_lists
    from adq.verif.signoff.regression.runs import Record

    plan = testplan.read_plan()
    console = Console()
    if artifacts and (shard or collect):
        raise ParallelError(
            "artifacts are in no shard: leave them out, and simulate them with `adq sim`"
        )
    part = Shard.parse(shard)
    runs = (run_lists.long_runs if every else run_lists.short_runs)(parameters, seed)
    runs = part.of(run_lists.only_some(runs, only, plan.cocotb_tests) if only else runs)
    others = {}
    if artifacts:

        def networks(progress):
            return simulate_networks(artifacts, parameters, None, out, CACHE, progress)

        others["networks"] = networks

    def differs(simulated) -> bool:
        return not all(network.agrees for network in simulated)

    def fails(result) -> bool:
        bad = result.state != "passed" if isinstance(result, Record) else differs(result)
        return bad and not go_on

    with models_in(CACHE) as models:
        write_json(out / "regression.json", under_way())
        result, missing = run_or_collect(
            runs,
            models,
            out,
            collect=collect,
            cluster=cluster,
            workers=processes,
            plan=plan,
            console=console,
            others=others,
            ends=fails,
        )
        simulated = result.others.get("networks", [])
        summary = {}
        if simulated:
            summary = report_networks(simulated, console)
            summary["simulations"] = summary.pop("runs")
        told = [network.to_json() for network in simulated]
        networks_tests = network_tests(told, plan)
        for test in networks_tests:
            if test["message"]:
                console.print(f"FAIL {test['name']}: {test['message']}", style="red", markup=False)
        assessments = result.assess(plan, networks_tests)
        if not only:  # otherwise most have not run
            print_failed_testpoints(assessments, console)
        whole = not result.not_run and bool(simulated) == bool(artifacts)
        finished = f"only {', '.join(only)}" if only else "finished"
        summary |= summary_of(result, assessments, told, [*result.tests(), *networks_tests])
        summary |= {
            "state": finished if whole else "incomplete" if collect else "ended behind a failure",
            "shard": str(part),
            "tile": f"{parameters.rows}x{parameters.columns}",
            "seed": seed,
        }
        write_json(out / "regression.json", summary)
        console.print(
            f"{parameters.rows}x{parameters.columns} tile, seed {seed}; logs in {out}",
            highlight=False,
        )
        if not whole:
            left = [*summary["not_run"], *([] if simulated or not artifacts else ["networks"])]
            console.print(f"Not run: {', '.join(left)}", style="yellow", highlight=False)
        failed = summary["failed"]
        line = f"{summary['passed']} passed, {failed} failed"
        console.print(line, style="red" if failed else "green")
        if failed:
            # Failures are reduced last, after they have been reported and written.
            failures_small(result, models, out, console)
        collecting.require_whole(missing, len(runs))
        if failed:
            raise typer.Exit(1)
