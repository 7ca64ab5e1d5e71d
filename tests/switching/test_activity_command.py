"""`adq activity`: its tables and exit status, with a simulation that was not made."""

import dataclasses
import json

import pytest
from rich.console import Console
from typer.testing import CliRunner

import adq.activity
from adq.activity import activity_table, measure_activity
from adq.cli import main
from adq.energy.fitting.fit import Records, fit
from adq.energy.simulated import energies_of
from adq.golden.artifact import read_artifact
from adq.rtl.parameters import TileParameters
from adq.verif.simulation.layer_work import network_work
from adq.verif.simulation.network_run import LayerRun, NetworkRun
from tests.energy.characterizations import characterization
from tests.energy.test_energy import COUNTS, MODEL, VECTORS

ARTIFACT = VECTORS / "mixed"
TILE = TileParameters(rows=16, columns=16)

pytestmark = pytest.mark.testpoint(reason="Energy of networks: software above the contracts.")


def sums(adders: int, storage: int, clocked: int) -> dict:
    return {
        "column adders": {"toggles": adders, "clocked": clocked},
        "storage": {"toggles": storage, "clocked": 0},
        "feeder": {"toggles": 0, "clocked": 0},
        "inputs": {"toggles": 500, "clocked": 0},
    }


def window(cycles: int, blocks: dict) -> dict:
    return {"cycles": cycles, "saif": "x.saif", "blocks": blocks}


class Simulation:
    """A simulation's energies, and the error of its prediction; a test may change both."""

    def __init__(self):
        work = next(network_work(read_artifact(ARTIFACT), TILE, 1))
        layer = LayerRun(
            work=work,
            cycles=work.cycles,
            counts=COUNTS,
            accumulators=7,
            mismatches=0,
            windows={
                "idle": window(9, sums(0, 0, 0)),
                "load": window(40, sums(0, 2000, 300)),
                "compute": window(1234, sums(5000, 0, 4000)),
            },
        )
        self.run = NetworkRun(
            artifact="network",
            tile=TILE,
            images=10,
            layers=(layer,),
            failure="",
            classes_that_differ=0,
            correct=1,
            bins={},
            counted_bits={},
            registers={},
            windows={
                "reset": window(5, sums(0, 0, 0)),
                "named_nets": 30,
                "annotated_nets": 30,
            },
        )
        self.factor = 1.0


@pytest.fixture
def simulated(monkeypatch, tmp_path):
    found = Simulation()
    model = fit(Records.read(characterization(tmp_path / "test.json")), provenance={})
    model = dataclasses.replace(model, counted=MODEL)

    def energies(run, _):
        told = energies_of(run, model)
        layers = tuple(
            dataclasses.replace(
                layer,
                predicted=layer.predicted.scaled(
                    found.factor * layer.counted.total / layer.predicted_total
                ),
            )
            for layer in told.layers
        )
        return dataclasses.replace(told, layers=layers)

    monkeypatch.setattr(adq.activity, "simulate", lambda *_, **__: found.run)
    monkeypatch.setattr(adq.activity, "energies_of", energies)
    return found


def measured(tmp_path):
    return measure_activity(ARTIFACT, TILE, 10, tmp_path, tmp_path, Console(quiet=True))


@pytest.mark.parametrize("command", ["activity", "sim"])
def test_a_library_without_coefficients_is_refused_before_the_simulation(command, tmp_path):
    found = CliRunner().invoke(
        main, [command, str(ARTIFACT), "--library", "none", "--out", str(tmp_path / "out")]
    )
    assert found.exit_code == 2
    assert "no coefficients for library 'none', only for nangate45" in found.output
    assert not (tmp_path / "out").exists()


def test_a_row_a_window(simulated, tmp_path):
    simulated.factor = 1.01
    table = activity_table(measured(tmp_path))
    rows = list(zip(*(column.cells for column in table.columns), strict=True))
    assert [column.header for column in table.columns][3:] == [
        *("column adders", "storage", "inputs", "clock", "all", "pJ", "predicted")
    ]
    energy = MODEL.energy(COUNTS, simulated.run.layers[0].cycles)
    load, compute = f"{energy.load / 1000:,.0f}", f"{energy.compute / 1000:,.0f}"
    assert rows == [
        ("", "reset", "5", "0.0", "0.0", "0.5", "0.0", "0.0", "", ""),
        ("conv1", "load", "40", "0.0", "2.0", "0.5", "0.3", "2.0", load, ""),
        ("", "compute", "1,234", "5.0", "0.0", "0.5", "4.0", "5.0", compute, "+1.0%"),
    ]
    assert "30 of 30 named nets" in table.caption


def mismatch(found):
    [layer] = found.run.layers
    layers = (dataclasses.replace(layer, mismatches=1),)
    found.run = dataclasses.replace(found.run, layers=layers)


def classes_differ(found):
    found.run = dataclasses.replace(found.run, classes_that_differ=1)


def failure(found):
    found.run = dataclasses.replace(found.run, failure="no result in 100 cycles", layers=())


def net_missing(found):
    windows = found.run.windows | {"named_nets": 31}
    found.run = dataclasses.replace(found.run, windows=windows)


def prediction_off(found):
    found.factor = 1.08


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda found: None, 0),
        (mismatch, 1),
        (classes_differ, 1),
        (failure, 1),
        (net_missing, 1),
        (prediction_off, 1),
    ],
)
def test_what_differs_or_is_missing_fails(change, status, simulated, tmp_path):
    change(simulated)
    result = CliRunner().invoke(main, ["activity", str(ARTIFACT), "--out", str(tmp_path)])
    assert result.exit_code == status, result.output
    assert len(json.loads((tmp_path / "activity.json").read_text())["runs"]) == 1
