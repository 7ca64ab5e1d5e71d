"""Run a golden artifact on the tile's Verilator model, under cocotb."""

import json
import math
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from adq.golden import mapper
from adq.golden.artifact import read_artifact
from adq.rtl.parameters import TileParameters
from adq.verif.simulation.activity import CountedDesign
from adq.verif.simulation.harness import build_harness
from adq.verif.simulation.results import read_bins, read_results
from adq.verif.simulation.simulator import SimulationError
from adq.verif.simulation.windows import check_sums, write_windows

__all__ = ["simulate"]


def simulate(
    artifact: Path,
    tile: TileParameters,
    *,
    images: int | None,
    directory: Path,
    cache: Path,
    seed: int = 1,
    windows: bool = False,
    progress: Callable[[str], None] = lambda stage: None,
) -> dict:
    """Push the first ``images`` samples through every matrix layer of an artifact on the tile.

    With ``windows``, weights load while nothing computes, and every net is counted: see
    :mod:`adq.verif.simulation.windows`, which reads what is left in ``directory``.

    Returns
    -------
    dict
        Images, accumulators checked, mismatches, classes that differ from the golden ones, and
        for each layer its cycles and switching by block; ``failure`` says why the tile did not
        get to the end, if so. Also in ``network.json`` in ``directory``.

    Raises
    ------
    adq.golden.artifact.ArtifactError
        If the artifact is damaged.
    adq.golden.mapper.MappingError
        If the tile cannot compute a layer.
    SimulationError
        If there are fewer samples than asked for, or the model cannot be built or run.
    """
    progress("reading the artifact")
    whole = read_artifact(artifact)
    network, samples = whole.network, whole.samples
    if images is None:
        images = len(samples.inputs)
    if not 1 <= images <= len(samples.inputs):
        raise SimulationError(
            f"{artifact} has {len(samples.inputs)} sample images, not {images}: ask for fewer, "
            "or export it with more"
        )
    for layer in network.matrix_layers:
        vectors = images * math.prod(network.shapes[layer.name][1:])
        mapper.plan_layer(network, layer.name, vectors, tile)
    progress(f"building the {tile.rows}x{tile.columns} tile")
    model, design = build_harness(tile, cache, nets=windows)
    directory.mkdir(parents=True, exist_ok=True)
    result, stage = directory / "network.json", directory / "stage"
    for file in (result, stage, directory / "functional.json"):
        file.unlink(missing_ok=True)
    specification = {
        "artifact": str(artifact.resolve()),
        "tile": asdict(tile),
        "blocks": design.blocks,
        "images": images,
        "windows": windows,
        "progress": str(stage.resolve()),
    }
    progress("simulating")
    finished = threading.Event()

    def watch():
        seen = ""
        while not finished.wait(0.2):
            now = stage.read_text() if stage.exists() else ""
            if now != seen:
                seen = now
                progress(f"simulated {now}")

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    broken = ""
    try:
        model.run(
            "adq.verif.simulation.drivers.network",
            directory=directory.resolve(),
            environment={"ADQ_NETWORK": json.dumps(specification)},
            seed=seed,
        )
    except SimulationError as error:
        broken = str(error)
    finally:
        finished.set()
        watcher.join()
    summary = {"artifact": str(artifact), "tile": asdict(tile), "images": images, "failure": ""}
    if result.exists() and not broken:
        summary |= json.loads(result.read_text())
    else:
        # The tile hung or refused a job, or the simulator crashed: that is a finding about the
        # design, not a wrong call.
        if not broken:
            failures = [test.message for test in read_results(directory / "results.xml")]
            broken = failures[0] or "ended early"
        summary |= {"layers": [], "accumulators": 0, "mismatches": 0, "classes_that_differ": 0}
        summary |= {"correct": 0, "failure": broken}
    if windows and not summary["failure"]:
        progress("writing SAIF")
        summary["windows"] = _windows(design, summary["layers"], directory)
    summary["bins"] = read_bins(directory)
    summary["counted_bits"], summary["registers"] = design.bits, design.registers
    scratch = result.with_suffix(".part")
    scratch.write_text(json.dumps(summary, indent=1))
    scratch.rename(result)
    return summary


def _windows(design: CountedDesign, layers: list[dict], directory: Path) -> dict:
    """Write every window of every layer, and of the reset before them; the reset's sums, and how
    many of the design's named nets are in the files.
    """

    def write(name: str) -> dict:
        dump = (directory / f"{name}.counts").read_text()
        return write_windows(design, dump, directory=directory, name=name, design_name="tile")

    for layer in layers:
        layer["windows"] = write(layer["name"])
        check_sums(layer["name"], layer["windows"], layer["switching"])
    return {
        "reset": write("reset")["reset"],
        "named_nets": design.named,
        "annotated_nets": len(design.nets.blocks),
    }
