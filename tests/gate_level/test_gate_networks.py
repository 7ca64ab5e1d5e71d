"""Whole networks at gate level: their jobs, and the command, in a library of round numbers."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.energy.coefficients import Coefficients, EnergyError, checked_in, coefficients_of
from adq.energy.counted import CountedModel
from adq.energy.gate_level.layer_cases import network_cases, real_cases
from adq.files import write_json
from adq.golden.artifact import Artifact, Samples, read_artifact, write_artifact
from adq.golden.network import ActivationFormat
from adq.rtl.parameters import TileParameters
from adq.verif.operands.features import features_of
from tests.golden_networks import NetworkBuilder, random_inputs
from tests.places import ROOT

pytestmark = pytest.mark.testpoint(
    reason="Switching, how it is counted and what it takes: figures about the design."
)

TINY = ROOT / "tests" / "liberty" / "tiny.lib"
TILE = TileParameters(rows=4, columns=16, row_blocks=8, partial_sums=3)
SINGLE = TileParameters(rows=4, columns=16, row_blocks=1, partial_sums=0)
SEED = 11
GENERATOR = {"name": "test", "version": "1.0", "seed": SEED, "accuracy": {"integer": 1.0}}


@pytest.fixture(scope="module")
def artifact(tmp_path_factory) -> Path:
    """A convolution and a linear layer, each of several row blocks and jobs."""
    rng = np.random.default_rng(SEED)
    builder = NetworkBuilder(rng, (2, 4, 4), ActivationFormat(bits=3, signed=True, scale=0.1))
    builder.conv(3, kernel=(2, 2), stride=(1, 1), padding=(0, 0))
    network = builder.network(classes=3)
    samples = Samples.record(network, random_inputs(network, rng, 2), np.zeros(2, int))
    folder = tmp_path_factory.mktemp("artifacts") / "small"
    write_artifact(folder, Artifact(network=network, samples=samples, generator=GENERATOR))
    return folder


def test_a_networks_runs_have_every_product_of_every_layer_once(artifact):
    read = read_artifact(artifact)
    for images in (1, 2):
        cases = network_cases(artifact, TILE, images)
        for layer in read.network.matrix_layers:
            jobs = [job for case in cases if case.layer == layer.name for job in case.jobs(SINGLE)]
            total = sum(int(job.results.sum()) for job in jobs)
            accumulators = read.samples.accumulators[layer.name][:images].astype(np.int64)
            per_channel = accumulators[0].size // len(layer.bias) * images
            assert total == accumulators.sum() - per_channel * layer.bias.sum()
            assert {len(job.weights) for job in jobs} == {1}
    assert {case.layer for case in cases} == {layer.name for layer in read.network.matrix_layers}


def test_runs_are_cut_between_jobs(artifact, monkeypatch):
    whole = network_cases(artifact, TILE, 1)
    assert [case.first for case in whole] == [0, 0]
    monkeypatch.setattr("adq.energy.gate_level.layer_cases.STRETCH", 1)
    cut = network_cases(artifact, TILE, 1)
    assert [(c.first, c.last) for c in cut if c.layer == whole[0].layer] == [
        (place, place + 1) for place in range(whole[0].last)
    ]


def test_runs_of_another_artifact_are_others(artifact):
    [first, _] = real_cases(artifact)
    before = first.identity
    manifest = artifact / "manifest.json"
    text = manifest.read_text()
    try:
        manifest.write_text(text + " ")
        assert first.identity != before
    finally:
        manifest.write_text(text)
    assert first.identity == before


@pytest.mark.slow
def test_the_command(artifact, tmp_path):
    """Totals are those of the runs; a model that gives 1 fJ a product toggle and 2 a cycle, and
    3 a storage toggle, is told with loads taking cycles of their own.
    """
    windows = {
        "compute": {n: {"AND plane": {"product_toggles": 1.0}, "clock": {"cycles": 2.0}}
                    for n in TILE.weight_widths},
        "load": {n: {"storage": {"storage_toggles": 3.0}} for n in TILE.weight_widths},
    }  # fmt: skip
    model = Coefficients(
        library="tiny",
        conditions="by hand",
        tile=SINGLE,
        period_ns=2.0,
        leakage_nw=0.0,
        area_um2=0.0,
        counted=CountedModel({}, {}, frozenset()),
        revisions={},
        windows=windows,
        provenance={},
    )
    write_json(tmp_path / "tiny.json", model.to_json())
    (tmp_path / "tile.toml").write_text(
        "[tile]\nrows = 4\ncolumns = 16\nrow_blocks = 8\npartial_sums = 3\n"
    )
    other = tmp_path / "other"
    shutil.copytree(artifact, other)
    arguments = ["dev", "gate-level", str(artifact), str(other), str(other), "--liberty", str(TINY)]
    arguments += ["--tile", str(tmp_path / "tile.toml"), "--processes", "1"]
    arguments += ["--out", str(tmp_path / "out")]
    result = CliRunner().invoke(main, [*arguments, "--coefficients", str(tmp_path / "tiny.json")])
    assert result.exit_code == 0, result.output
    assert "last / first" in result.stdout
    assert result.stdout.count("1.00x") == 5
    told = json.loads((tmp_path / "out" / "gate-level.json").read_text())
    runs = [json.loads(path.read_text()) for path in (tmp_path / "out/runs").glob("*/*.json")]
    for layer in told["networks"][0]["layers"]:
        mine = [run for run in runs if run["weights"] == f"real:{artifact}:{layer['name']}"]
        for window in ("compute", "load"):
            spent = sum(
                sum(parts.values())
                for run in mine
                for parts in run["windows"][window]["blocks"].values()
            )
            assert layer[f"{window}_pj"] == pytest.approx(spent / 1000)
            assert spent > 0
        cycles = {w: sum(run["windows"][w]["cycles"] for run in mine) for w in ("compute", "load")}
        assert layer["cycles"] == sum(cycles.values())
        jobs = [
            job
            for case in network_cases(artifact, TILE, 1)
            if case.layer == layer["name"]
            for job in case.jobs(SINGLE)
        ]
        features = features_of(SINGLE, jobs)
        by_hand = features["product_toggles"] + 2 * cycles["compute"]
        assert layer["model_compute_pj"] == pytest.approx(by_hand / 1000)
        by_hand = 3 * features["storage_toggles"] + 2 * cycles["load"]
        assert layer["model_load_pj"] == pytest.approx(by_hand / 1000)

    # Nobody has fitted a model to this library.
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "none of this library" in result.stdout
    told = json.loads((tmp_path / "out" / "gate-level.json").read_text())
    assert told["networks"][0]["layers"][0]["model_load_pj"] is None


def test_more_images_than_samples_are_refused(artifact):
    with pytest.raises(EnergyError, match="has 2 sample images, not 3: ask for fewer"):
        network_cases(artifact, TILE, 3)


def test_coefficients_are_found_by_the_library_that_they_are_of():
    mapped = [each for each in checked_in() if each.layout is None and not each.latches]
    assert mapped
    for each in mapped:
        found = coefficients_of(each.provenance["liberty"]["sha256"], SINGLE)
        assert found is not None
        assert found.library == each.library
        assert found.scaled_from
    assert coefficients_of("0" * 64, SINGLE) is None
