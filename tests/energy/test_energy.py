"""Energy of counts, by hand, and the tables of simulated networks."""

import dataclasses
import json

import numpy as np
import pytest

from adq.energy.coefficients import EnergyError, blended
from adq.energy.counted import CountedModel
from adq.energy.fitting.fit import Records, counted_errors, fit
from adq.energy.fitting.sizes import blend_weights, leakage_at
from adq.energy.reports.comparison import comparison_table, cost_of
from adq.energy.simulated import TOLERANCE, energies_of
from adq.golden.artifact import read_artifact
from adq.rtl.parameters import TileParameters
from adq.verif.simulation.layer_work import network_work
from adq.verif.simulation.network_run import LayerRun, NetworkRun
from adq.verif.simulation.switching.net_classes import ClassCounts, NetClass
from tests.energy.characterizations import CLOCKED, TOGGLE, characterization
from tests.places import ROOT

pytestmark = pytest.mark.testpoint(
    reason="Costs, reports and this machine's tools: software above the contracts."
)

VECTORS = ROOT / "golden" / "vectors" / "digits"
TILE = TileParameters(rows=16, columns=32)

SUM, TOTALS, WEIGHTS = (
    NetClass("column adders", "sum"),
    NetClass("collector", "totals"),
    NetClass("storage", "weights"),
)
MODEL = CountedModel(
    terms={
        "column adders": {("toggles", "column adders/sum"): 5.0},
        "collector": {
            ("toggles", "collector/totals"): 3.0,
            ("toggles", "column adders/sum"): 0.5,
            ("clocked", "collector/totals"): 9.0,
            ("enabled", "collector/totals"): 20.0,
            ("cycles", ""): 7.0,
        },
        "storage": {("toggles", "storage/weights"): 2.0, ("clocked", "storage/weights"): 8.0},
    },
    means={
        "column adders": {"toggles": 5.0, "clocked": 0.0},
        "collector": {"toggles": 4.0, "clocked": 10.0},
        "storage": {"toggles": 2.0, "clocked": 8.0},
    },
    classes=frozenset({SUM, TOTALS, WEIGHTS}),
)
COUNTS = ClassCounts(
    toggles={SUM: 100, TOTALS: 10, WEIGHTS: 1000},
    clocked={TOTALS: 6, WEIGHTS: 50},
    enabled={TOTALS: 2, WEIGHTS: 5},
)


def test_energy_by_hand():
    energy = MODEL.energy(COUNTS, cycles=11)
    assert energy.blocks == {
        "column adders": 100 * 5,
        "collector": 10 * 3 + 100 * 0.5 + 6 * 9 + 2 * 20 + 11 * 7,
        "storage": 1000 * 2 + 50 * 8,
    }
    assert energy.load == 1000 * 2 + 50 * 8
    assert energy.compute == sum(energy.blocks.values()) - energy.load
    assert not energy.estimated
    assert not energy.left_out


def test_a_class_that_was_not_characterized_takes_the_mean_of_its_block_and_is_named():
    new = NetClass("collector", "extra")
    counts = dataclasses.replace(
        COUNTS, toggles=COUNTS.toggles | {new: 30}, clocked=COUNTS.clocked | {new: 2}
    )
    energy = MODEL.energy(counts, cycles=11)
    assert energy.estimated == {new: 30 * 4 + 2 * 10}
    assert energy.total == MODEL.energy(COUNTS, cycles=11).total + 30 * 4 + 2 * 10


def test_a_block_that_was_not_characterized_is_left_out_and_named():
    buffer = NetClass("partial sum buffer", "entry")
    counts = dataclasses.replace(COUNTS, toggles=COUNTS.toggles | {buffer: 10**9})
    energy = MODEL.energy(counts, cycles=11)
    assert energy.left_out == ("partial sum buffer",)
    assert energy.total == MODEL.energy(COUNTS, cycles=11).total


def test_counts_and_models_read_back():
    written = json.loads(json.dumps(COUNTS.to_json()))
    assert ClassCounts.from_json(written) == COUNTS
    assert CountedModel.from_json(json.loads(json.dumps(MODEL.to_json()))) == MODEL
    assert COUNTS.blocks["collector"] == {"toggles": 10, "clocked": 6}


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> Records:
    return Records.read(characterization(tmp_path_factory.mktemp("records") / "test.json"))


@pytest.fixture(scope="module")
def model(records):
    return fit(records, provenance={})


def test_the_fit_finds_what_a_toggle_and_a_clocked_bit_take(model, records):
    terms = model.counted.terms["feeder"]
    assert terms["toggles", "feeder/net"] == pytest.approx(TOGGLE, rel=0.01)
    # Bits are clocked in words of 16: the energy is that of the bits.
    assert terms["clocked", "feeder/net"] == pytest.approx(CLOCKED, rel=0.01)
    assert model.counted.means["feeder"]["toggles"] == pytest.approx(TOGGLE)
    found = counted_errors(model.counted, records)
    assert max(abs(error.relative) for error in found) < 0.01


def test_switching_beyond_all_runs_has_its_own_energy(model, records):
    """A fault that clocks the feeder's registers more often than any run did."""
    run = records.runs[0]
    counts = ClassCounts.from_json(run["counts"])
    net = NetClass("feeder", "net")
    more = dataclasses.replace(counts, clocked=counts.clocked | {net: 10 * counts.clocked[net]})
    before, after = (model.counted.energy(each, 100).total for each in (counts, more))
    assert after - before == pytest.approx(9 * counts.clocked[net] * CLOCKED, rel=0.02)


@pytest.fixture(scope="module")
def run() -> NetworkRun:
    """A network whose integers all agree, and whose nets did the same in every layer."""
    artifact = read_artifact(VECTORS / "mixed")
    layers = tuple(
        LayerRun(work=work, cycles=work.cycles, counts=COUNTS, accumulators=5, mismatches=0)
        for work in network_work(artifact, TILE, 2)
    )
    return NetworkRun(
        artifact=str(VECTORS / "mixed"),
        tile=TILE,
        images=2,
        layers=layers,
        failure="",
        classes_that_differ=0,
        correct=2,
        bins={},
        counted_bits={},
        registers={},
    )


def predicting(run: NetworkRun, model, factor: float):
    """Energies whose predictions are so many times what was counted."""
    energies = energies_of(run, dataclasses.replace(model, counted=MODEL))
    layers = []
    for layer in energies.layers:
        scale = factor * layer.counted.total / layer.predicted_total
        layers.append(dataclasses.replace(layer, predicted=layer.predicted.scaled(scale)))
    return dataclasses.replace(energies, layers=tuple(layers))


def test_costs_are_per_image(run, model):
    energies = predicting(run, model, 1.02)
    cost = cost_of(run, energies, name="network")
    counted = MODEL.energy(COUNTS, run.layers[0].cycles)
    layer = cost.layers[0]
    assert layer.compute_pj == pytest.approx(counted.compute / 2 / 1000)
    assert layer.load_pj == pytest.approx(counted.load / 2 / 1000)
    assert layer.predicted_pj == pytest.approx(1.02 * counted.total / 2 / 1000)
    assert layer.difference == pytest.approx(0.02)
    assert layer.toggles == 1110 / 2
    assert layer.fj_per_mac == pytest.approx(1000 * layer.compute_pj / layer.macs)
    assert cost.total("macs") == 231_680
    assert cost.to_json()["total"]["load_pj"] == pytest.approx(4 * layer.load_pj)


def test_the_table_compares_with_the_first_of_the_same_layers(run, model):
    energies = predicting(run, model, 1.0)
    cheap = cost_of(run, energies, name="cheap")
    twice = dataclasses.replace(
        cheap,
        name="twice",
        layers=tuple(dataclasses.replace(x, compute_pj=2 * x.compute_pj) for x in cheap.layers),
    )
    other = dataclasses.replace(cheap, name="other", layers=cheap.layers[:1])
    table = comparison_table([cheap, other, twice], energies)
    rows = list(zip(*(column.cells for column in table.columns), strict=True))
    [ratio] = [row for row in rows if row[0] == "ratio"]
    assert ratio[1] == "twice / cheap"
    assert ratio[5:] == ("1.00x", "1.00x", "1.00x", "2.00x", "1.00x", "2.00x", "1.00x", "")


@pytest.mark.parametrize(("factor", "agrees"), [(1.04, True), (0.96, True), (1.08, False)])
def test_a_prediction_beyond_the_tolerance_fails_and_says_why(run, model, factor, agrees):
    energies = predicting(run, model, factor)
    assert TOLERANCE == 0.05
    assert energies.agrees == agrees
    # conv1 takes most of the energy; 8 % of the others is less than 1 % of the network's.
    assert len(energies.problems) == (0 if agrees else 1)
    for problem in energies.problems:
        assert "(+8.0%, more than 5.0%): the RTL has changed, or the model of the" in problem


@pytest.mark.parametrize(("share", "agrees"), [(0.009, True), (0.011, False)])
def test_a_layer_may_always_differ_by_a_percent_of_the_network(run, model, share, agrees):
    layers = predicting(run, model, 1.0).layers
    little, total = layers[-1], sum(each.counted.total for each in layers)
    scale = 1 + share * total / little.counted.total
    assert scale > 1.1
    off = dataclasses.replace(little, predicted=little.predicted.scaled(scale))
    assert off.agrees == agrees


def test_labels_name_other_revisions_and_unknown_classes(run, model):
    counts = dataclasses.replace(
        COUNTS, toggles=COUNTS.toggles | {NetClass("collector", "extra"): 1000}
    )
    layers = tuple(dataclasses.replace(layer, counts=counts) for layer in run.layers)
    energies = predicting(dataclasses.replace(run, layers=layers), model, 1.0)
    said = "\n".join(energies.labels)
    assert "feeder was characterized on another revision of its RTL." in said
    assert "collector/extra is no class of nets that test was characterized with: " in said


def test_a_simulation_that_counted_nothing_has_no_energy(run, model):
    nothing = ClassCounts({SUM: 0}, {TOTALS: 0}, {TOTALS: 0})
    layers = tuple(dataclasses.replace(layer, counts=nothing) for layer in run.layers)
    with pytest.raises(EnergyError, match="conv1: the simulation counted no switching"):
        energies_of(dataclasses.replace(run, layers=layers), model)


SIZES = [(16, 16), (32, 32), (64, 64), (128, 64)]


@pytest.mark.parametrize("target", [(32, 32), (48, 48), (100, 64), (96, 56)])
def test_a_blend_has_the_rows_and_columns_of_its_target(target):
    weights = np.array(blend_weights(SIZES, target))
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    assert np.array(SIZES).T @ weights == pytest.approx(target)


def test_a_blend_is_of_the_nearest_sizes_and_stays_inside():
    assert blend_weights(SIZES, (48, 48)) == pytest.approx([0, 0.5, 0.5, 0])
    assert blend_weights(SIZES, (4, 16)) == pytest.approx([1, 0, 0, 0])


def test_leakage_of_bit_cells_rows_and_the_rest():
    leakages = [3.0 * r * c + 50 * (r + c) + 2000 for r, c in SIZES]
    assert leakage_at(SIZES, leakages, (48, 32)) == pytest.approx(3 * 48 * 32 + 50 * 80 + 2000)
    assert leakage_at(SIZES[:1], leakages[:1], (32, 16)) == pytest.approx(2 * leakages[0])


def test_the_tolerance_follows_from_sizes_that_were_left_out(run, model):
    measured = dataclasses.replace(model, difference=0.09)
    assert predicting(run, measured, 1.08).agrees
    assert not predicting(run, measured, 1.10).agrees


def of_size(model, rows: int, columns: int, **measured):
    tile = dataclasses.replace(TILE, rows=rows, columns=columns)
    return dataclasses.replace(model, tile=tile, provenance=model.provenance | measured)


def test_a_bound_is_of_sizes_left_out_as_far_from_their_neighbours(model):
    near = {"left_out_inside": True, "left_out_distance": 1.0}
    far = {"left_out_inside": False, "left_out_distance": 2.0}

    def errors(first: float, second: float) -> dict[str, float]:
        return {
            "left_out_error": first,
            "left_out_predictor_error": second,
            "left_out_difference": second - first,
            "left_out_leakage_error": -first,
        }

    known = [
        of_size(model, 32, 32, **far, **errors(0.10, 0.13)),
        of_size(model, 64, 64, **near, **errors(0.03, 0.04)),
        of_size(model, 128, 64, **far | {"left_out_distance": 1.0}, **errors(0.2, 0.2)),
    ]

    def bounds(rows: int, columns: int) -> tuple[float | None, float | None]:
        found = blended(known, dataclasses.replace(TILE, rows=rows, columns=columns))
        assert found.difference == pytest.approx(0.03)
        assert found.leakage_bound == found.bound
        return found.bound, found.predictor_bound

    # Between sizes, half a doubling of each side from one: as near as 64x64 was.
    assert bounds(48, 48) == (0.03, 0.04)
    # Outside, a doubling away, where two were left out, and two doublings, where one was.
    assert bounds(32, 16) == (0.2, 0.2)
    assert bounds(16, 16) == (0.10, 0.13)
    assert bounds(1, 16) == (None, None)
    assert bounds(1024, 1024) == (None, None)


def test_a_beat_drives_a_word_in_each_beat_of_a_block(model):
    """A block of 16 rows has 16 beats, one of 32 rows or more 32."""
    beat, bit = ("toggles", "storage/beat"), ("toggles", "storage/weights")
    small, large = (
        dataclasses.replace(
            of_size(model, rows, rows),
            counted=CountedModel({"storage": {beat: energy, bit: 5.0}}, {}, frozenset()),
        )
        for rows, energy in ((16, 160.0), (64, 320.0))
    )
    between = blended([small, large], dataclasses.replace(TILE, rows=32, columns=32))
    assert between.counted.terms["storage"] == pytest.approx({beat: 320.0, bit: 5.0})
