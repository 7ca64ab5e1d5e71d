"""Energy of large layers, of which some blocks of outputs are counted."""

import pytest

from adq.energy import workload
from adq.energy.coefficients import coefficients_for
from adq.energy.reports.tables import notes
from adq.energy.sources import artifact_energy
from adq.rtl.parameters import TileParameters
from tests.places import ROOT

pytestmark = pytest.mark.testpoint(reason="An estimate about networks, not a promise of hardware.")

ARTIFACT = ROOT / "golden" / "vectors" / "digits" / "mixed"
MODEL = coefficients_for("nangate45", TileParameters(rows=16, columns=16))


@pytest.fixture(scope="module")
def whole():
    return artifact_energy(ARTIFACT, MODEL, 1)


@pytest.fixture
def sampled(monkeypatch):
    monkeypatch.setattr(workload, "EXACT_BIT_PRODUCTS", 1)
    monkeypatch.setattr(workload, "LEAST_SAMPLE", 4)
    return artifact_energy(ARTIFACT, MODEL, 1)


def test_a_sample_estimates_the_whole_within_its_standard_error(whole, sampled):
    errors = {each.layer.name: each.standard_error for each in sampled.layers}
    assert {name for name, error in errors.items() if error} >= {"conv1", "linear"}
    for one, other in zip(sampled.layers, whole.layers, strict=True):
        tolerance = 4 * (one.standard_error or 0)
        assert one.compute_pj == pytest.approx(other.compute_pj, rel=tolerance)
        assert one.layer.sample == () or len(one.layer.sample) == 4 < one.layer.output_blocks


def test_cycles_jobs_and_loads_are_exact(whole, sampled):
    for one, other in zip(sampled.layers, whole.layers, strict=True):
        for name in ("cycles", "jobs", "blocks", "beats"):
            assert one.layer.features[name] == other.layer.features[name]
        assert one.layer.loads == other.layer.loads


def test_a_layer_that_is_counted_whole_has_no_error(whole):
    assert all(each.standard_error is None for each in whole.layers)
    assert "standard error" not in notes(MODEL, [whole])


def test_the_sample_is_told_to_people_and_programs(sampled):
    assert "counted on blocks of outputs chosen at random" in notes(MODEL, [sampled])
    layer = sampled.to_json()["layers"][0]
    assert layer["output_blocks_counted"] == 4 < layer["output_blocks"]
    assert 0 < layer["standard_error"] < 0.5
