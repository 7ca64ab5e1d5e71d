"""The one shape of a result."""

import json

import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.design_result import OBJECTIVES, DesignResult, LayerResult, Method, ResultShapeError
from tests.places import ROOT

pytestmark = pytest.mark.testpoint(reason="Energy of networks: software above the contracts.")

LAYER = LayerResult(
    name="conv1",
    macs=100,
    weight_bits=4,
    activation_bits=3,
    cycles=20,
    compute_pj=7.0,
    load_pj=2.0,
    blocks_pj={"control": 3.0, "fusing": 4.0},
)

RESULT = DesignResult(
    network="digits",
    method=Method.PREDICTED,
    tile={"rows": 16, "columns": 32},
    library="nangate45",
    point={"rows": 16, "bits": [4, 3]},
    compute_pj=7.0,
    load_pj=2.0,
    cycles=20,
    longest_path_ns=2.5,
    layers=(LAYER, LAYER),
    labels=("an estimate",),
)


def test_a_result_is_the_same_after_json():
    assert DesignResult.from_json(json.loads(RESULT.write())) == RESULT


def test_objectives_follow_from_fields():
    told = RESULT.to_json()["objectives"]
    assert told["energy_pj"] == 9
    assert told["clock_mhz"] == 400
    assert told["latency_us"] == pytest.approx(20 * 2.5e-3)
    assert told["energy_delay_pj_us"] == pytest.approx(9 * 0.05)
    assert told["energy_cycles_pj"] == 180
    assert told["area_um2"] is told["accuracy"] is None
    assert set(told) == set(OBJECTIVES)
    assert RESULT.blocks_pj() == {"control": 6.0, "fusing": 8.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format: 1 was expected"),
        ({"cycles": "many"}, "cycles: 'many' is not of type"),
        ({"accuracy": 2}, "accuracy: 2 is greater than"),
        ({"longest_path_ns": 0}, "longest_path_ns: 0 is less than"),
        ({"method": "guessed"}, "method: 'guessed' is not one of"),
        ({"more": 1}, "the document: Additional properties"),
        ({"layers": [{"name": "conv1"}]}, "layers/0: 'macs' is a required"),
    ],
)
def test_a_document_of_another_shape_is_refused_by_its_field(change, message):
    with pytest.raises(ResultShapeError, match=message):
        DesignResult.from_json(RESULT.to_json() | change)


@pytest.mark.parametrize("name", ["format", "network", "cycles", "layers"])
def test_a_document_that_lacks_a_field_is_refused(name):
    document = RESULT.to_json()
    del document[name]
    with pytest.raises(ResultShapeError, match=f"'{name}' is a required property"):
        DesignResult.from_json(document)


def test_commands_write_the_same_shape(tmp_path, monkeypatch):
    """Cycles and MACs of the mapper are those of the energy model, which counts them elsewhere."""
    artifact = ROOT / "golden" / "vectors" / "digits" / "mixed"
    monkeypatch.chdir(tmp_path)
    options = [str(artifact), "--rows", "32", "--columns", "32", "--images", "2"]
    for command in ("map", "energy"):
        assert CliRunner().invoke(main, [command, *options, "--out", command]).exit_code == 0
    [planned] = (json.loads(path.read_text()) for path in (tmp_path / "map").rglob("*.json"))
    energy = json.loads((tmp_path / "energy" / "energy.json").read_text())
    one, other = (DesignResult.from_json(each["results"][0]) for each in (planned, energy))
    assert (one.images, other.images) == (2, 2)
    assert one.cycles == other.cycles == planned["cycles"] / 2
    for field in ("name", "macs", "weight_bits", "activation_bits", "cycles"):
        assert [getattr(layer, field) for layer in one.layers] == [
            getattr(layer, field) for layer in other.layers
        ]
    assert other.compute_pj == pytest.approx(energy["networks"][0]["total"]["compute_pj"])
    assert one.energy_pj is None
