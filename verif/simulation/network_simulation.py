"""Simulation of a golden artifact on the tile's Verilator model, under cocotb."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from adq.golden import integer_network
from adq.golden.artifact import Artifact
from adq.golden.files.directory import replace_directory, staged_directory
from adq.golden.files.json_reader import JsonObject
from adq.golden.mapping import mapper
from adq.golden.network import Network
from adq.golden.nodes import MatrixLayer
from adq.rtl.parameters import TileParameters
from adq.verif.operands.beats import results_of
from adq.verif.operands.jobs import write_streams
from adq.verif.simulation.functional_coverage import JobSample
from adq.verif.simulation.harness import build_harness
from adq.verif.simulation.layer_work import LayerWork, network_work
from adq.verif.simulation.network_run import LayerRun, NetworkRun
from adq.verif.simulation.results import COUNTS, LAYERS, read_results
from adq.verif.simulation.simulator import Build, SimulationError
from adq.verif.simulation.switching.activity import CountedDesign
from adq.verif.simulation.switching.windows import check_sums, write_windows

__all__ = ["simulate"]


def simulate(
    path: Path,
    artifact: Artifact,
    tile: TileParameters,
    *,
    images: int,
    directory: Path,
    cache: Path,
    seed: int = 1,
    windows: bool = False,
    progress: Callable[[str], None] = lambda stage: None,
) -> NetworkRun:
    """Push the first ``images`` samples through every matrix layer of an artifact on the tile.

    Each layer reads the artifact's own integers, with which the accumulators of the layer before
    are compared: a layer that is wrong is told apart from those behind it. ``path`` is where the
    artifact was read from. With ``windows``, weights load while nothing computes, and every net is
    counted and written as SAIF: see :mod:`adq.verif.simulation.switching.windows`.

    The run works in a private folder, which replaces ``directory`` in one step when it ends; then
    its files are those of this run alone. A run that is interrupted changes nothing there. One that
    breaks off leaves its logs.

    Raises
    ------
    adq.golden.mapping.mapper.MappingError
        If the tile cannot compute a layer.
    SimulationError
        If there are fewer samples than asked for, or the model cannot be built.
    """
    if not 1 <= images <= len(artifact.samples):
        raise SimulationError(
            f"{path} has {len(artifact.samples)} sample images, not {images}: ask for fewer, "
            "or export it with more"
        )
    with staged_directory(directory) as staged:

        def in_place(message: str) -> str:
            return message.replace(staged.name, directory.name)

        try:
            found = _simulate(
                path,
                artifact,
                tile,
                images=images,
                directory=staged,
                cache=cache,
                seed=seed,
                windows=windows,
                progress=progress,
            )
            found = replace(found, failure=in_place(found.failure))
            (staged / "network.json").write_text(json.dumps(found.to_json(), indent=1))
        except SimulationError as error:
            replace_directory(staged, directory)
            raise SimulationError(in_place(str(error))) from None
        replace_directory(staged, directory)
    return found


def _simulate(
    path: Path,
    artifact: Artifact,
    tile: TileParameters,
    *,
    images: int,
    directory: Path,
    cache: Path,
    seed: int,
    windows: bool,
    progress: Callable[[str], None],
) -> NetworkRun:
    """Simulate in an empty folder; see :func:`simulate`."""
    for layer in artifact.network.matrix_layers:
        (directory / LAYERS / layer.name).mkdir(parents=True, exist_ok=True)
    layers = []
    for work in network_work(artifact, tile, images):
        progress(f"planning {work.name}")
        results, patience = write_streams(tile, work.jobs, directory / LAYERS / work.name)
        layers.append((work, results, patience))
    progress(f"building the {tile.rows}x{tile.columns} tile")
    model, design = build_harness(tile, cache, nets=windows)
    plays, failure = _play(
        model, design, tile, layers, directory, seed=seed, windows=windows, progress=progress
    )
    runs: list[LayerRun] = []
    accumulators: dict[str, np.ndarray] = {}
    for (work, *_), play in zip(layers, plays, strict=bool(not failure)):
        try:
            run, accumulators[work.name] = _layer_run(artifact, work, design, play, directory)
        except SimulationError as error:
            failure = str(error)
            break
        runs.append(run)
    ended = NetworkRun(
        artifact=str(path),
        tile=tile,
        images=images,
        counted_bits=design.bits,
        registers=design.registers,
        layers=(),
        failure=failure,
        classes_that_differ=0,
        correct=0,
        bins={},
    )
    if failure:
        return ended
    sums = None
    if windows:
        progress("writing SAIF")
        runs, sums = _windows(design, runs, directory)
    classes = _classes(artifact, images, accumulators)
    samples = artifact.samples
    return replace(
        ended,
        layers=tuple(runs),
        classes_that_differ=int((classes != samples.classes[:images]).sum()),
        correct=int((classes == samples.labels[:images]).sum()),
        bins=_bins(runs),
        windows=sums,
    )


def _play(
    model: Build,
    design: CountedDesign,
    tile: TileParameters,
    layers: Sequence[tuple[LayerWork, int, int]],
    directory: Path,
    *,
    seed: int,
    windows: bool,
    progress: Callable[[str], None],
) -> tuple[list[JsonObject], str]:
    """Play the streams of the layers. Return cycles and switching of each layer, and the reason if
    the simulation ended early.
    """
    result, stage = directory / "plays.json", directory / "stage"
    specification = {
        "tile": asdict(tile),
        "words": design.words,
        "layers": [
            {"name": work.name, "results": results, "patience": patience}
            for work, results, patience in layers
        ],
        "windows": windows,
        "progress": str(stage.resolve()),
    }
    progress("simulating")
    try:
        with _watched(stage, progress):
            model.run(
                "adq.verif.simulation.drivers.network",
                directory=directory.resolve(),
                environment={"ADQ_NETWORK": json.dumps(specification)},
                seed=seed,
            )
    except SimulationError as error:
        return [], str(error)
    if result.exists():
        return json.loads(result.read_text()), ""
    # The tile hung or refused a job, or the simulator crashed: that is a finding about the design,
    # not a wrong call.
    failures = [test.message for test in read_results(directory / "results.xml")]
    return [], failures[0] or "ended early"


@contextmanager
def _watched(stage: Path, progress: Callable[[str], None]) -> Iterator[None]:
    """Report the layers that a simulation has finished."""
    finished = threading.Event()

    def watch() -> None:
        seen = ""
        while not finished.wait(0.2):
            now = stage.read_text() if stage.exists() else ""
            if now != seen:
                seen = now
                progress(f"simulated {now}")

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        finished.set()
        watcher.join()


def _layer_run(
    artifact: Artifact,
    work: LayerWork,
    design: CountedDesign,
    play: Mapping[str, Any],
    directory: Path,
) -> tuple[LayerRun, np.ndarray]:
    """Compare a layer's accumulators with the artifact's. Return the result and the accumulators.

    Raises
    ------
    SimulationError
        If a job was refused, or results are not those of the jobs.
    """
    plan, name = work.plan, work.name
    file = directory / LAYERS / name / "results.hex"
    results = results_of(plan.tile, file.read_text())
    file.unlink()
    if any(status.value for status in results.status):
        raise SimulationError(f"{name}: a job was refused")
    if results.last.sum() != len(work.jobs):
        raise SimulationError(f"{name}: a job has not one last result")
    outputs = results.outputs(plan.jobs[0].weight_bits)
    ends = np.cumsum([job.vector_count for job in plan.jobs])
    accumulators = mapper.assemble(plan, np.split(outputs, ends[:-1]))
    bias = work.layer.bias.reshape(-1, *(1,) * (accumulators.ndim - 2))
    accumulators = accumulators + bias
    expected = artifact.samples.accumulators[name][: work.images]
    run = LayerRun(
        work=work,
        cycles=play["cycles"],
        counts=design.counts_of(play["switching"]),
        accumulators=expected.size,
        mismatches=int((accumulators != expected).sum()),
    )
    return run, accumulators


def _classes(artifact: Artifact, images: int, accumulators: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the classes that follow from the tile's accumulators."""

    def compute(network: Network, name: str, layer_input: np.ndarray) -> np.ndarray:
        if isinstance(network[name], MatrixLayer):
            return accumulators[name]
        return integer_network.accumulate(network, name, layer_input)

    inputs = artifact.samples.inputs[:images]
    return integer_network.run(artifact.network, inputs, compute=compute).classes


def _bins(runs: Sequence[LayerRun]) -> dict[str, int]:
    hits: Counter[str] = Counter()
    for run in runs:
        if not run.mismatches:
            before: int | None = None
            for job in run.work.jobs:
                hits.update(JobSample.of(job, before=before).bins())
                before = job.weight_bits
    return dict(hits)


def _windows(
    design: CountedDesign, runs: Sequence[LayerRun], directory: Path
) -> tuple[list[LayerRun], dict[str, Any]]:
    """Write SAIF files of every window of each layer, and of the reset. Return the results with
    their windows, and a dict with the sums of the reset and the number of named nets in the files.
    """

    def write(folder: Path, name: str, counts: Path) -> dict[str, JsonObject]:
        windows = write_windows(
            design, counts.read_text(), directory=folder, name=name, design_name="tile"
        )
        for window in windows.values():
            if window["saif"] is not None:
                window["saif"] = str(Path(window["saif"]).relative_to(directory))
        return windows

    found = []
    for run in runs:
        folder = directory / LAYERS / run.name
        windows = write(folder, run.name, folder / COUNTS)
        check_sums(run.name, windows, run.counts.blocks)
        found.append(replace(run, windows=windows))
    return found, {
        "reset": write(directory, "reset", directory / COUNTS)["reset"],
        "named_nets": design.named,
        "annotated_nets": len(design.net_counters.blocks),
    }
