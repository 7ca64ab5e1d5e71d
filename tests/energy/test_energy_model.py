"""The energy model: fitted to a characterization whose coefficients are known, and what it tells
of networks.
"""

import functools
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.cost.architectures import listed_work
from adq.energy.coefficients import (
    Coefficients,
    EnergyError,
    checked_in,
    coefficients_for,
    coefficients_of,
)
from adq.energy.fitting.fit import Records, errors, fit
from adq.energy.network_energy import NetworkEnergy, mac_energy
from adq.energy.reports.published import colonnade_energy
from adq.energy.reports.tables import notes
from adq.energy.simulated import TOLERANCE
from adq.energy.sources import artifact_energy
from adq.energy.terms import IN_TURNS, term_of_class
from adq.energy.workload import Density, architecture_features, artifact_features
from adq.golden.artifact import read_artifact
from adq.rtl.parameters import TileParameters
from adq.verif.gate_level.placed_conditions import PlacedConditions
from adq.verif.operands.features import CLASSES, FEATURES, features_of
from adq.verif.operands.jobs import Job, random_job
from tests.energy.characterizations import TILE, TRUE, characterization, run_of
from tests.places import ROOT

pytestmark = pytest.mark.testpoint(reason="Energy of networks: software above the contracts.")

VECTORS = ROOT / "golden" / "vectors" / "digits"


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> Records:
    return Records.read(characterization(tmp_path_factory.mktemp("records") / "test.json"))


@pytest.fixture(scope="module")
def model(records) -> Coefficients:
    return fit(records, provenance={"command": "made for the test"})


@pytest.fixture(scope="module")
def model_file(model, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "test.json"
    path.write_text(json.dumps(model.to_json()))
    return path


def test_the_fit_finds_what_the_records_were_made_of(model):
    for window, blocks in TRUE.items():
        for block, terms in blocks.items():
            found = model.windows[window][8][block]
            big = {name: value for name, value in found.items() if value > 1e-6}
            assert big == pytest.approx(terms), (window, block)


def test_runs_that_were_held_out_are_predicted(model, records):
    found = errors(model, records)
    held_out = [error for error in found if error.held_out]
    assert len(held_out) == 2 * len(TILE.weight_widths)
    assert len(found) == 2 * len(records.runs)
    assert max(abs(error.relative) for error in found) < 1e-6
    off = replace(model, windows=scaled(model.windows, 1.1))
    assert errors(off, records)[0].relative == pytest.approx(0.1)


def scaled(windows, factor):
    if isinstance(windows, dict):
        return {key: scaled(value, factor) for key, value in windows.items()}
    return windows * factor


def test_noise_moves_predictions_by_little(tmp_path):
    records = Records.read(characterization(tmp_path / "noisy.json", noise=0.02))
    model = fit(records, provenance={})
    worst = max(abs(error.relative) for error in errors(model, records) if error.held_out)
    assert 0 < worst < 0.1


def test_a_model_reads_back(model, model_file):
    assert Coefficients.read(model_file) == model


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("windows", "compute", "8", "column adders", "adder_toggles"), "x"),
        (("windows", "compute", "8", "column adders", "adder_toggles"), None),
        (("windows", "compute", "8", "column adders", "adder_toggles"), float("nan")),
        (("windows", "compute", "8", "column adders", "bogus_toggles"), 1.0),
        (("windows", "compute", "8", "column adders"), 1.0),
        (("windows",), {"compute": {}}),
        (("period_ns",), float("inf")),
        (("provenance",), None),
        (("revisions",), ["feeder"]),
        (("counted",), {}),
        (("counted", "terms", "feeder"), {"toggles feeder/net": -1.0}),
        (("counted", "terms", "feeder"), {"toggles feeder/net": float("nan")}),
        (("counted", "terms", "feeder"), {"bogus feeder/net": 1.0}),
        (("counted", "terms", "feeder"), {"toggles feeder": 1.0}),
        (("counted", "classes"), ["feeder"]),
    ],
)
def test_damaged_coefficients_are_told(place, value, model_file, tmp_path):
    content = json.loads(model_file.read_text())
    *outer, key = place
    functools.reduce(dict.__getitem__, outer, content)[key] = value
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(content))
    with pytest.raises(EnergyError, match=r"bad\.json: is no file of coefficients, or damaged"):
        Coefficients.read(path)


def test_energy_by_hand(model):
    features = dict.fromkeys(FEATURES, 0.0) | {"cycles": 10, "adder_toggles": 7, "beats": 3}
    energy = model.energy(features, 8)
    assert energy.compute["column adders"] == pytest.approx(7 * 2.5)
    assert energy.compute["control"] == pytest.approx(10 * 40)
    assert energy.load["control"] == pytest.approx(3 * 5)
    # 2000 nW for 20 ns are 40e-15 J.
    assert energy.leakage == pytest.approx(40)
    assert energy.scaled(3).leakage == pytest.approx(120)
    with pytest.raises(EnergyError, match="no coefficients for 5-bit weights, only for 2, 4, 8, 1"):
        model.energy(features, 5)


def test_another_tile_is_an_estimate_that_says_so(model):
    assert coefficients_for("test", TILE, [model]).scaled_from == ""
    wide = coefficients_for("test", replace(TILE, columns=64), [model])
    assert wide.scaled_from == "16x32"
    assert wide.leakage_nw == pytest.approx(2 * model.leakage_nw)
    # A row line drives twice as many cells.
    features = dict.fromkeys(FEATURES, 0.0) | {"line_toggles": 1}
    assert wide.energy(features, 2).compute["row lines"] == pytest.approx(1.5 * 64)
    far = replace(model, tile=replace(TILE, rows=256))
    assert coefficients_for("test", TILE, [far, model]) == model


def test_a_library_without_coefficients_is_an_error(model):
    with pytest.raises(EnergyError, match=r"library 'other', only for test: characterize a tile"):
        coefficients_for("other", TILE, [model])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no file of coefficients, or damaged"),
        ("[]", "is no file of coefficients, or damaged"),
        ("{}", "has format None, not 3: characterize again"),
        ('{"format": 1, "library": "nangate45"}', "has format 1, not 3: characterize again"),
        ('{"format": 3}', r"damaged \('library'\)"),
    ],
)
def test_damaged_files_are_told(text, message, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(EnergyError, match=rf"bad\.json: .*{message}"):
        Coefficients.read(path)
    with pytest.raises(
        EnergyError, match=r"bad\.json: (is no file of characterizations|has format)"
    ):
        Records.read(path)


PLACED = {
    "die_um2": 130000.0, "utilization": 0.7, "seed": 1, "activity": True, "longest_path_ns": 2.0,
}  # fmt: skip


def test_a_placed_tiles_coefficients_say_so(records, tmp_path):
    placed = replace(records, layout=PlacedConditions(**PLACED))
    found = fit(placed, provenance={"liberty": {}})
    path = tmp_path / "placed.json"
    path.write_text(json.dumps(found.to_json()))
    read = Coefficients.read(path)
    assert read.layout == placed.layout
    assert read.without == ()
    assert "longest path 2.00 ns: with the wires, clock tree and glitches" in notes(
        read, [artifact_energy(VECTORS / "mixed", read, 1)]
    )
    estimate = coefficients_for("test", replace(TILE, columns=64), [read])
    said = notes(estimate, [artifact_energy(VECTORS / "mixed", estimate, 1)])
    assert "As placed: with the wires, clock tree and glitches" in said
    plain = fit(records, provenance={})
    assert plain.layout is None
    assert plain.without == ("glitches", "clock tree")
    assert "wire load model, without glitches, clock tree, " in notes(
        plain, [artifact_energy(VECTORS / "mixed", plain, 1)]
    )


def test_coefficients_of_latches_say_so_and_are_asked_for_by_name(records, tmp_path):
    sha256 = "0" * 64
    provenance = {"liberty": {"sha256": sha256}}
    plain = fit(records, provenance=provenance)
    latched = replace(
        fit(replace(records, latches=True), provenance=provenance), library="test-latches"
    )
    path = tmp_path / "latches.json"
    path.write_text(json.dumps(latched.to_json()))
    read = Coefficients.read(path)
    assert read.latches
    assert not plain.latches
    assert "Weights in latches" in notes(read, [artifact_energy(VECTORS / "mixed", read, 1)])
    assert "latches" not in notes(plain, [artifact_energy(VECTORS / "mixed", plain, 1)])
    found = coefficients_of(sha256, TILE, [read, plain])
    assert found is not None
    assert found.library == plain.library
    assert coefficients_of(sha256, TILE, [read]) is None
    path.write_text(json.dumps(latched.to_json() | {"latches": "yes"}))
    with pytest.raises(EnergyError, match="latches: 'yes' is neither true nor false"):
        Coefficients.read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": "1"}, "layout: seed: '1'"),
        ({"activity": 1}, "layout: activity: 1"),
        ({"other": 1}, "other"),
    ],
)
def test_damaged_conditions_of_a_placement_are_told(model, change, message, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(model.to_json() | {"layout": PLACED | change}))
    with pytest.raises(EnergyError, match=f"damaged .*({message})"):
        Coefficients.read(path)


def test_nothing_is_left_to_fit_to(records):
    with pytest.raises(EnergyError, match="every run is held out"):
        fit(records, provenance={}, held_out=lambda run: True)


def test_terms_of_a_block_can_be_told_apart(records):
    """No two terms of a block are in proportion over the runs."""
    from adq.energy.terms import terms_of

    terms = [terms_of(records.tile, run["features"]) for run in records.runs]
    blocks: dict[str, set[str]] = {}
    for net_class in (each for found in CLASSES.values() for each in found):
        blocks.setdefault(net_class.split("/")[0], set()).add(term_of_class(net_class))
    for names in [*blocks.values(), *(n for block in IN_TURNS.values() for n in block.values())]:
        matrix = np.array([[each[name] for name in sorted(names)] for each in terms])
        used = matrix[:, np.abs(matrix).max(axis=0) > 0]
        used = used / np.linalg.norm(used, axis=0)
        angles = np.triu(used.T @ used, 1)
        assert angles.max(initial=0) < 1 - 1e-9, names


def energy_of(model, **values) -> float:
    rng = np.random.default_rng(7)
    job = random_job(TILE, rng, **{"signed": False, "vectors": 32, **values})
    return sum(model.energy(features_of(TILE, [job]), job.weight_bits).compute.values())


def test_energy_grows_with_bits_and_density(model):
    widths = [energy_of(model, weight_bits=8, activation_bits=k) for k in (2, 4, 8, 16)]
    assert widths == sorted(widths)
    densities = [
        energy_of(model, weight_bits=8, activation_bits=8, density=density)
        for density in (0, 0.25, 0.5, 0.75, 1)
    ]
    assert densities == sorted(densities)
    per_mac = [
        energy_of(model, weight_bits=k, activation_bits=8) / TILE.outputs(k) for k in (2, 4, 8, 16)
    ]
    assert per_mac == sorted(per_mac)


def test_an_artifacts_features_are_those_of_its_jobs():
    artifact = read_artifact(VECTORS / "mixed")
    tile = TileParameters(rows=32, columns=32, partial_sums=16)
    layers = artifact_features(artifact, tile, images=2)
    assert [layer.name for layer in layers] == ["conv1", "conv2", "conv3", "linear"]
    conv2 = layers[1]
    assert (conv2.bits, conv2.weight_bits, conv2.activation_bits) == (2, 2, 2)
    assert conv2.macs == 16 * 4608
    # 144 rows are 5 blocks, 32 outputs 2; 16 vectors an image fit a job.
    assert conv2.loads == 2 * 5
    assert conv2.features["blocks"] == 2 * 2 * 5
    assert conv2.features["vectors"] == 32 * 2 * 5
    inputs = artifact.samples.outputs[artifact.network["conv2"].input][:2]
    assert conv2.density == np.count_nonzero(inputs) / inputs.size


@pytest.mark.parametrize("partial_sums", [0, 8])
def test_drawn_features_are_close_to_those_of_a_whole_layer(partial_sums):
    tile = TileParameters(
        rows=16, columns=32, row_blocks=256 if partial_sums else 1, partial_sums=partial_sums
    )
    work = listed_work("digits", (1, 8, 8), 10)[1].at(4)  # 144 rows, 32 outputs, 16 vectors
    (layer,) = architecture_features([work], tile, densities=[Density(0.5)], images=8)
    rng = np.random.default_rng(2)
    weights = rng.integers(-8, 8, (144, 32))
    matrix = rng.integers(-8, 8, (128, 144)) * (rng.random((128, 144)) < 0.5)
    jobs = []
    chunk = partial_sums or 128
    for first in range(0, 32, tile.outputs(4)):
        for start in range(0, 128, chunk):
            blocks = [
                (
                    weights[16 * block : 16 * block + 16, first : first + 8],
                    matrix[start : start + chunk, 16 * block : 16 * block + 16],
                )
                for block in range(9)
            ]
            groups = [blocks] if partial_sums else [[block] for block in blocks]
            jobs += [
                Job(4, 4, True, np.stack([w for w, _ in g]), np.stack([a for _, a in g]))
                for g in groups
            ]
    whole = features_of(tile, jobs)
    rare = {"zero_planes", "skipped_planes"}
    assert {name for name in FEATURES if whole[name] and not layer.features[name]} <= rare
    for name in FEATURES.keys() - rare:
        value = whole[name]
        # Each drawn job begins at reset, as if behind a vector of one plane.
        few = 2 * 128 if name == "index_toggles" else 70
        assert layer.features[name] == pytest.approx(value, rel=0.1, abs=few), name
    assert layer.features["blocks"] == whole["blocks"]
    assert layer.features["cycles"] == pytest.approx(whole["cycles"], rel=0.02)


def test_a_networks_energy_by_hand(model):
    artifact = read_artifact(VECTORS / "mixed")
    layers = artifact_features(artifact, model.tile, images=2)
    network = NetworkEnergy.of("digits", layers, model, "samples")
    conv2 = network.layers[1]
    energy = model.energy(layers[1].features, 2)
    assert conv2.compute_pj == pytest.approx(sum(energy.compute.values()) / 2 / 1000)
    assert sum(conv2.blocks_pj.values()) == pytest.approx(conv2.compute_pj)
    # Both images' vectors fit one job: their loads are shared.
    assert conv2.load_pj == pytest.approx(2 * conv2.load_once_pj)
    assert conv2.paper_pj == pytest.approx(73_728 * 2.942e-3)
    assert conv2.colonnade_pj == pytest.approx(73_728 * 161.6e-3)
    assert network.total("compute_pj") == pytest.approx(sum(x.compute_pj for x in network.layers))
    assert network.fj_per_mac == pytest.approx(1000 * network.total("compute_pj") / 231_680)
    json.dumps(network.to_json())


def test_a_mac_on_a_full_tile(model):
    rng = np.random.default_rng(5)
    rows, outputs = TILE.rows, TILE.outputs(4)
    jobs = [
        Job(
            4,
            8,
            False,
            rng.integers(-8, 8, (1, rows, outputs)),
            rng.integers(1, 256, (1, 64, rows)) * (rng.random((1, 64, rows)) < 0.3),
        )
        for _ in range(8)
    ]
    energy = model.energy(features_of(TILE, jobs), 4)
    expected = sum(energy.compute.values()) / (8 * 64 * rows * outputs)
    assert mac_energy(model, 4, 8, Density(0.3)) == pytest.approx(expected, rel=0.03)
    sparse = mac_energy(model, 4, 8, Density(0.3, weights=0.1))
    assert sparse < 0.9 * expected


def test_colonnade_between_its_precisions():
    assert colonnade_energy(1000, 3) == pytest.approx(423_400)
    assert colonnade_energy(1, 16) == 3995


CHECKED_IN = [pytest.param(each, id=f"{each.library}-{each.tile.name}") for each in checked_in()]


@pytest.mark.parametrize("each", CHECKED_IN)
def test_coefficients_that_come_with_the_package_have_provenance(each):
    said = {"liberty", "netlist_sha256", "command", "date", "held_out_error"}
    assert said <= set(each.provenance)
    assert set(each.windows["compute"]) == set(each.tile.weight_widths)


@pytest.mark.parametrize("each", CHECKED_IN)
def test_they_are_near_gate_level_on_every_layer_held_out(each):
    """Counted and predicted energy against gate level, and each against the other: within 5 %, or
    6 % of a placed tile, whose glitches no feature and no toggle of the RTL tells.
    """
    limit = 0.06 if each.layout else TOLERANCE
    for name in ("counted_held_out", "held_out"):
        found = each.provenance[name]
        # Layers of three networks, two of which share names, and four runs of any value.
        assert len(found) >= 40
        assert max(abs(run["error"]) for run in found) < limit
    assert 0 < each.provenance["difference"] < limit


@pytest.mark.parametrize("each", CHECKED_IN)
def test_their_energies_grow_with_bits_and_density(each):
    def rises(energies: list[float]) -> bool:
        return all(np.diff(energies) > 0)

    for bits in (2, 4, 8, 16):
        shares = [mac_energy(each, bits, bits, Density(d)) for d in (0, 0.25, 0.5, 0.75, 1)]
        assert rises(shares), bits
        assert rises([mac_energy(each, bits, k, Density(0.5)) for k in (2, 4, 8, 16)]), bits
        assert rises([mac_energy(each, k, bits, Density(0.5)) for k in (2, 4, 8, 16)]), bits


def energy(folder, *arguments):
    result = CliRunner().invoke(main, ["energy", *map(str, arguments), "--out", str(folder)])
    written = folder / "energy.json"
    return result, json.loads(written.read_text()) if written.exists() else None


def test_the_command_on_artifacts(model_file, tmp_path):
    result, written = energy(
        tmp_path, VECTORS / "mixed", VECTORS / "16bit", "--coefficients", model_file, "--images", 1
    )
    assert result.exit_code == 0, result.output
    mixed, uniform = written["networks"]
    ratio = uniform["total"]["compute_pj"] / mixed["total"]["compute_pj"]
    assert ratio > 4
    assert f"{ratio:.2f}x" in result.stdout
    assert written["scaled_from"] == "16x32"
    said = " ".join(result.stdout.split())
    assert "estimate: from tiles of 16x32, which were characterized; no error was" in said
    assert "A lower bound: by the wire load model" in said


def test_the_command_on_an_architecture(model_file, tmp_path):
    arguments = ("--arch", "digits", "--input", "1x8x8", "--coefficients", model_file)
    _, dense = energy(tmp_path, *arguments, "--bits", "16,4,3,16", "--density", "0.9,0.8,0.7")
    mixed, uniform = dense["networks"]
    assert [layer["density"] for layer in mixed["layers"]] == [1.0, 0.9, 0.8, 0.7]
    assert [layer["weight_bits"] for layer in mixed["layers"]] == [16, 4, 4, 16]
    assert [layer["activation_bits"] for layer in mixed["layers"]] == [16, 4, 3, 16]
    assert mixed["total"]["compute_pj"] < uniform["total"]["compute_pj"]
    result, sparse = energy(tmp_path, *arguments, "--density", "0.1")
    assert len(sparse["networks"]) == 1  # at 16 bits already
    assert sparse["networks"][0]["total"]["compute_pj"] < uniform["total"]["compute_pj"]
    result, _ = energy(tmp_path, *arguments)
    assert "an assumed density of 0.5" in " ".join(result.stdout.split())


def test_a_kept_result(model_file, tmp_path):
    results = ROOT / "results" / "digits.json"
    result, written = energy(tmp_path, results, "--coefficients", model_file, "--images", 4)
    assert result.exit_code == 0, result.output
    content = json.loads(results.read_text())["mixed"]
    layers = written["networks"][0]["layers"]
    assert {layer["name"]: layer["bits"] for layer in layers} == content["bits"]
    assert {layer["name"]: layer["macs"] for layer in layers} == content["macs"]
    assert layers[1]["density"] == content["density"]["conv1"]
    assert written["networks"][0]["images"] == 4
    assert layers[1]["load_once_pj"] < layers[1]["load_pj"]


RESULTS = sorted((ROOT / "results").glob("*.json"))


@pytest.mark.parametrize("results", RESULTS, ids=lambda path: path.stem)
def test_a_kept_result_has_the_macs_that_training_counted(results, model_file, tmp_path):
    _, written = energy(tmp_path, results, "--coefficients", model_file)
    found = {layer["name"]: layer["macs"] for layer in written["networks"][0]["layers"]}
    assert found == json.loads(results.read_text())["mixed"]["macs"]


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("mixed", "bits", "conv2"), 17, "is damaged: bits 17: it must be 2 to 16"),
        (("mixed", "bits", "conv2"), 3.5, "is no result of a training run, or damaged"),
        (("mixed", "bits"), [1, 2], "is no result of a training run, or damaged"),
        (("mixed", "bits"), {"conv1": 16}, "is no result of a training run, or damaged"),
        (("mixed", "channels", "conv1"), 0, "is no result of a training run, or damaged"),
        (("mixed", "channels", "conv1"), 10**30, "is no result of a training run, or damaged"),
        (("mixed", "channels", "conv1"), 99, "is damaged: conv1 has 9216 MACs in it, but by"),
        (("mixed", "density", "conv1"), 2, "is no result of a training run, or damaged"),
        (("mixed", "density", "conv1"), float("nan"), "is no result of a training run, or damaged"),
        (("mixed", "density", "other"), 0.5, "is damaged: density 0.5 of other: it must be 0 to 1"),
        (("mixed", "density"), None, "is no result of a training run, or damaged"),
        (("recipe", "model", "name"), "nope", "is no result of a training run, or damaged"),
        (("recipe", "data", "name"), "digits32", "is damaged: conv1 has 9216 MACs in it, but by"),
        (("recipe", "data", "name"), ["digits"], "is no result of a training run, or damaged"),
    ],
)
def test_damaged_results_are_told(place, value, message, tmp_path):
    content = json.loads((RESULTS[0].parent / "digits.json").read_text())
    *outer, key = place
    functools.reduce(dict.__getitem__, outer, content)[key] = value
    damaged = tmp_path / "damaged.json"
    damaged.write_text(json.dumps(content))
    result, _ = energy(tmp_path / "out", damaged)
    assert result.exit_code == 2
    assert f"damaged.json: {message}" in result.stderr


def test_pytorch_is_not_imported(model_file, tmp_path):
    import subprocess
    import sys

    code = (
        "import sys; sys.modules['torch'] = None; "
        "from adq.cli import main; "
        f"main(['energy', '--arch', 'vgg19', '--coefficients', {str(model_file)!r}, "
        f"'--out', {str(tmp_path)!r}])"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert (tmp_path / "energy.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to count: give a golden artifact, a file of results/, or --arch vgg19"),
        (["absent"], "absent: is not there: give a golden artifact, a file of results/"),
        (["--arch", "vgg"], "architecture 'vgg': it must be one of digits, vgg9"),
        (["--arch", "vgg9", "--density", "0.1,0.2"], "density: 2 are given; give 1, or 6, one for"),
        (["--arch", "vgg9", "--density", "2"], "density 2.0: it must be 0 to 1"),
        (["--arch", "vgg9", "--images", str(10**23)], "conv1 would take 1024"),
        (["--arch", "vgg9", "--input", "3x99999x99999"], "conv1 would take 9999800001 vectors"),
        (["--arch", "vgg9", "--weight-density", "-1"], "density -1.0: it must be 0 to 1"),
        ([VECTORS / "mixed", "--images", "5"], "has 4 sample images, not 5: ask for fewer"),
        ([Path(__file__)], "test_energy_model.py: is no result of a training run, or damaged"),
    ],
)
def test_what_the_command_cannot_tell(arguments, message, model_file, tmp_path):
    result, written = energy(tmp_path, *arguments, "--coefficients", model_file)
    assert result.exit_code == 2
    assert written is None
    assert message in " ".join(result.stderr.split())


def test_an_unknown_library_is_an_error(tmp_path):
    result, written = energy(tmp_path, "--arch", "vgg9", "--library", "mine")
    assert result.exit_code == 2
    assert written is None
    assert re.search("no coefficients for library 'mine', only for", result.stderr)


def test_records_of_this_test_hold_what_a_characterization_does(records):
    run = run_of(
        TILE,
        [random_job(TILE, np.random.default_rng(1), weight_bits=2, activation_bits=2, signed=True)],
        "random",
        0.5,
        0.0,
        np.random.default_rng(1),
    )
    assert set(run) == set(records.runs[0])


def test_figures(model, model_file, tmp_path):
    from adq.energy.reports.energy_figures import DENSITIES, draw

    layers = artifact_features(read_artifact(VECTORS / "mixed"), model.tile, images=1)
    network = NetworkEnergy.of("digits", layers, model, "samples")
    figures = draw(model, [network])
    mac = {line.get_label(): line for line in figures["mac"].axes[0].lines}
    assert mac["this tile, AD 0.5"].get_ydata()[2] == mac_energy(model, 8, 8, Density(0.5))
    assert list(mac["paper's PIM, 45 nm"].get_ydata()) == [2.942, 16.968, 66.714, 276.676]
    densities = figures["density"].axes[0].lines
    assert [line.get_label() for line in densities][2] == "8x8 bits"
    assert densities[2].get_ydata()[5] == pytest.approx(
        mac_energy(model, 8, 8, Density(DENSITIES[5])) / 64
    )
    bars = figures["layers"].axes[0].patches
    heights = np.array([bar.get_height() for bar in bars]).reshape(-1, len(layers)).sum(axis=0)
    assert heights == pytest.approx([each.compute_pj / 1000 for each in network.layers])

    arguments = (VECTORS / "mixed", "--coefficients", model_file, "--images", 1, "--figures")
    result, _ = energy(tmp_path, *arguments)
    assert result.exit_code == 0, result.output
    drawn = {path.name for path in tmp_path.glob("*.svg")}
    assert drawn == {"mac.svg", "density.svg", "layers.svg"}


def test_the_fit_by_command(tmp_path):
    records = characterization(tmp_path / "test.json")
    out = tmp_path / "coefficients"
    arguments = ["dev", "energy-fit", str(records), "--out", str(out), "--library", "cells"]
    arguments += ["--conditions", "made up"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    model = Coefficients.read(out / "cells-16x32.json")
    assert model.library == "cells"
    assert model.provenance["liberty"]["name"] == "test"
    assert model.conditions == "made up, 1.1 V, 25.0 C"
    assert model.provenance["held_out_error"] < 1e-6
    assert model.provenance["counted_held_out_error"] < 0.01
    assert len(model.provenance["held_out"]) == 8
    assert "real:network:conv2" in result.stdout
    result = CliRunner().invoke(main, ["dev", "energy-fit", str(tmp_path / "absent.json")])
    assert result.exit_code == 2
