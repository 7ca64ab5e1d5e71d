"""Injected faults: what can flip, what becomes of it, and how sure the shares are."""

import json
import math

import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.rtl.parameters import TileParameters
from adq.verif.signoff.injection import campaign
from adq.verif.signoff.injection.campaign import Effect, Injection, Rate, rates, wilson
from adq.verif.signoff.injection.targets import FaultyTile, Target
from adq.verif.simulation.switching.activity import BLOCKS

pytestmark = pytest.mark.testpoint(
    reason="They hold the measures of the tests and of the design to what they say."
)

TINY = TileParameters(rows=1, columns=16, row_blocks=2, partial_sums=2, vectors=2)


@pytest.fixture(scope="module")
def tile():
    return FaultyTile(TINY)


def test_every_register_bit_and_every_handshake_can_flip(tile):
    by_kind = {}
    for target in tile.targets:
        by_kind.setdefault(target.kind, []).append(target)
    assert set(by_kind) <= {*BLOCKS, "valid", "ready"}
    assert len(by_kind["valid"]) == len(by_kind["ready"]) == 4
    assert sorted(target.flip for kind in ("valid", "ready") for target in by_kind[kind]) == [
        1 << place for place in range(8)
    ]
    # Both banks of a row, and a partial sum a vector, whatever else there is.
    weights = [t for t in by_kind["storage"] if t.name.startswith("weight_array.weights_")]
    assert len(weights) == TINY.banks * TINY.rows * TINY.columns
    buffer = [t for t in by_kind["partial sum buffer"] if ".memory[" in t.name]
    widths = [TINY.result_width(TINY.lane_weight_bits(lane)) for lane in range(TINY.lanes)]
    assert len(buffer) == TINY.partial_sums * sum(widths)
    registers = [target for target in tile.targets if target.select]
    assert sorted(target.select for target in registers) == list(range(1, len(registers) + 1))


@pytest.mark.parametrize(("hits", "count"), [(0, 10), (1, 7), (50, 100), (200, 200)])
def test_bounds_are_where_the_share_is_two_deviations_away(hits, count):
    # By its definition: bounds p of |hits/count - p| = z * sqrt(p (1 - p) / count).
    low, high = wilson(hits, count)
    for bound in (low, high):
        assert 0 <= bound <= 1
        away = abs(hits / count - bound)
        assert away == pytest.approx(1.959964 * math.sqrt(bound * (1 - bound) / count), abs=1e-6)
    assert low <= hits / count <= high


def test_effects_are_counted_by_kind():
    outcomes = [
        (Injection(n, Target(kind, "x", select=1), 0, 0.5), effect, signs)
        for n, (kind, effect, signs) in enumerate(
            [
                ("storage", Effect.SILENT, []),
                ("storage", Effect.MASKED, []),
                ("valid", Effect.DETECTED, ["hang", "marks"]),
                ("valid", Effect.DETECTED, ["hang"]),
            ]
        )
    ]
    storage, valid = rates({"storage": 20, "valid": 4, "feeder": 3}, outcomes)
    assert (storage.kind, storage.bits, storage.count) == ("storage", 20, 2)
    assert storage.share(Effect.SILENT)[0] == 0.5
    assert valid.as_dict()["detected"]["count"] == 2
    assert valid.as_dict()["signs"] == {"hang": 2, "marks": 1}
    assert isinstance(valid, Rate)


@pytest.mark.slow
def test_faults_are_told_apart_in_simulation(monkeypatch, tmp_path):
    monkeypatch.setattr(campaign, "TILE", TINY)
    monkeypatch.setattr(campaign, "WORKLOADS", 2)
    arguments = ["dev", "inject", "--count", "8", "--out", str(tmp_path)]
    told = CliRunner().invoke(main, arguments)
    assert told.exit_code == 0, told.output
    found = json.loads((tmp_path / "injection.json").read_text())
    by_kind = {rate["kind"]: rate for rate in found["rates"]}
    assert all(rate["faults"] == 8 for rate in found["rates"])
    # A handshake that only one side sees loses a beat or makes one up.
    assert by_kind["valid"]["detected"]["count"] + by_kind["ready"]["detected"]["count"] > 3
    # Nothing tells of a wrong product.
    assert by_kind["row lines"]["detected"]["count"] == 0
    assert by_kind["row lines"]["silent"]["count"] > 0
    assert len(found["faults"]) == 8 * len(by_kind)
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 0
    same = json.loads((tmp_path / "injection.json").read_text())
    order = [sorted(f["faults"], key=lambda fault: fault["number"]) for f in (found, same)]
    assert order[0] == order[1]


@pytest.mark.slow
def test_faults_on_a_cluster_are_those_of_this_machine(monkeypatch, tmp_path):
    """The workers build the model for themselves, and are of other folders."""
    monkeypatch.setattr(campaign, "TILE", TINY)
    found = {}
    for name, options in (("here", []), ("cluster", ["--cluster", "local:2"])):
        arguments = ["dev", "inject", "--count", "2", "--out", str(tmp_path / name), *options]
        told = CliRunner().invoke(main, arguments)
        assert told.exit_code == 0, told.output
        document = json.loads((tmp_path / name / "injection.json").read_text())
        found[name] = sorted(document["faults"], key=lambda fault: fault["number"])
    assert found["here"] == found["cluster"]
