"""Energy of counts, by hand."""

import dataclasses
from pathlib import Path

import pytest

from adq.energy.comparison import comparison_table, cost_of
from adq.energy.fitting.fit import Records, fit
from adq.energy.simulated import LIBRARY, ModelledEnergy, simulated_energy
from adq.energy.switching import SwitchingEnergy
from adq.energy.workload import artifact_features
from adq.golden.artifact import read_artifact
from adq.rtl.parameters import TileParameters
from adq.verif.simulation.activity import BLOCKS
from tests.characterizations import characterization

VECTORS = Path(__file__).parents[1] / "golden" / "vectors" / "digits"

ENERGY = SwitchingEnergy(
    name="test",
    node="none",
    clocked=8.0,
    toggles={"column adders": 5.0, "storage": 2.0},
    toggles_per_column={"row lines": 1.5},
    load=["storage"],
    left_out=["partial sum buffer"],
)


def counts(toggles, clocked=0):
    return {"toggles": toggles, "clocked": clocked}


SWITCHING = {
    "column adders": counts(100, 10),
    "storage": counts(1000, 100),
    "row lines": counts(2),
    "partial sum buffer": counts(10**9, 10**9),
}


def test_energy_by_hand():
    window = ENERGY.of(SWITCHING, columns=64)
    assert window.compute == pytest.approx((100 * 5 + 10 * 8 + 2 * 1.5 * 64) / 1000)
    assert window.load == pytest.approx((1000 * 2 + 100 * 8) / 1000)
    assert sum(window.blocks.values()) == pytest.approx(window.compute + window.load)


def test_a_block_without_a_figure_is_an_error():
    with pytest.raises(KeyError, match="feeder"):
        ENERGY.of({"feeder": counts(1)}, columns=16)


def test_the_estimate_has_a_figure_for_every_block():
    energy = SwitchingEnergy.estimate()
    of = energy.of({block: counts(1, 1) for block in BLOCKS}, columns=64)
    assert set(of.blocks) == set(BLOCKS) - set(energy.left_out)
    assert all(value > 0 for value in of.blocks.values())
    assert set(energy.load) <= set(BLOCKS)


@pytest.fixture
def simulation():
    layer = {
        "name": "conv",
        "density": 0.25,
        "bits": 3,
        "weight_bits": 4,
        "activation_bits": 3,
        "macs": 10,
        "cycles": 60,
        "switching": SWITCHING,
    }
    return {"images": 2, "tile": {"columns": 64}, "layers": [layer, {**layer, "macs": 30}]}


def test_costs_are_per_image(simulation):
    cost = cost_of(simulation, ENERGY, name="network")
    assert cost.total("macs") == 40
    assert cost.total("cycles") == 60
    assert cost.total("toggles") == 100 + 1000 + 2  # the buffer's are left out
    assert cost.layers[0].compute_pj == pytest.approx(0.772 / 2)
    assert cost.layers[0].fj_per_mac == pytest.approx(38.6)
    assert cost.fj_per_mac == pytest.approx(1000 * 0.772 / 40)
    assert cost.to_json()["total"]["load_pj"] == pytest.approx(2.8)


def test_the_table_compares_with_the_first(simulation):
    cheap = cost_of(simulation, ENERGY, name="cheap")
    twice = dataclasses.replace(
        cheap,
        name="twice",
        layers=tuple(dataclasses.replace(x, compute_pj=2 * x.compute_pj) for x in cheap.layers),
    )
    table = comparison_table([cheap, twice], ENERGY)
    cells = [list(column.cells)[-1] for column in table.columns]
    assert cells == ["ratio", "twice / cheap", "", "", "", "1.00x", "1.00x", "1.00x", "2.00x",
                     "1.00x", "2.00x"]  # fmt: skip


def test_the_model_tells_simulated_networks_in_their_operands(tmp_path, monkeypatch):
    model = fit(Records.read(characterization(tmp_path / "test.json")), provenance={})
    artifact = VECTORS / "mixed"
    tile = TileParameters(rows=32, columns=32)
    energy = ModelledEnergy(model.for_tile(tile))
    assert "scaled from 16x32" in energy.name
    layers = artifact_features(read_artifact(artifact), tile, 2)
    run = {"artifact": str(artifact), "images": 2}
    for window, layer in zip(energy.of_layers(run), layers, strict=True):
        expected = energy.coefficients.energy(layer.features, layer.weight_bits)
        assert window.compute == pytest.approx(sum(expected.compute.values()) / 1000)
        assert window.load == pytest.approx(sum(expected.load.values()) / 1000)
        assert sum(window.blocks.values()) == pytest.approx(window.compute)

    known = [dataclasses.replace(model, library=LIBRARY)]
    monkeypatch.setattr("adq.energy.coefficients.checked_in", lambda: known)
    assert isinstance(simulated_energy(tile), ModelledEnergy)
    monkeypatch.setattr("adq.energy.coefficients.checked_in", list)
    assert simulated_energy(tile).name == "estimate"


def test_networks_of_other_layers_are_not_compared(simulation):
    one = cost_of(simulation, ENERGY, name="one")
    other = dataclasses.replace(one, name="other", layers=one.layers[:1])
    table = comparison_table([one, other, dataclasses.replace(one, name="again")], ENERGY)
    names = [list(column.cells) for column in table.columns][:2]
    assert [b for a, b in zip(*names, strict=True) if a == "ratio"] == ["again / one"]
