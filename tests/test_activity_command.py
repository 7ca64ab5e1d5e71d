"""`adq activity`: its tables and exit status, with a simulation that was not made."""

import json

import pytest
from rich.console import Console
from typer.testing import CliRunner

import adq.activity
from adq.activity import activity_table, measure_activity
from adq.cli import main
from adq.rtl.parameters import TileParameters


def sums(adders: int, storage: int, clocked: int) -> dict:
    return {
        "column adders": {"toggles": adders, "clocked": clocked},
        "storage": {"toggles": storage, "clocked": 0},
        "feeder": {"toggles": 0, "clocked": 0},
        "inputs": {"toggles": 500, "clocked": 0},
    }


def window(cycles: int, blocks: dict) -> dict:
    return {"cycles": cycles, "saif": "x.saif", "blocks": blocks}


@pytest.fixture
def simulated(monkeypatch):
    """What the simulation gives; a test may change it."""
    run = {
        "artifact": "network",
        "images": 10,
        "failure": "",
        "accumulators": 7,
        "mismatches": 0,
        "classes_that_differ": 0,
        "layers": [
            {
                "name": "conv1",
                "windows": {
                    "idle": window(9, sums(0, 0, 0)),
                    "load": window(40, sums(0, 2000, 300)),
                    "compute": window(1234, sums(5000, 0, 4000)),
                },
            }
        ],
        "windows": {
            "reset": window(5, sums(0, 0, 0)),
            "named_nets": 30,
            "annotated_nets": 30,
        },
    }
    monkeypatch.setattr(adq.activity, "simulate", lambda *_, **__: run)
    return run


def measured(tmp_path) -> dict:
    tile = TileParameters(rows=4, columns=16)
    return measure_activity(tmp_path, tile, 10, tmp_path, tmp_path, Console(quiet=True))


def test_a_row_a_window(simulated, tmp_path):
    table = activity_table(measured(tmp_path))
    rows = list(zip(*(column.cells for column in table.columns), strict=True))
    assert [column.header for column in table.columns][3:] == [
        *("column adders", "storage", "inputs", "clock", "all")
    ]
    assert rows == [
        ("", "reset", "5", "0.0", "0.0", "0.5", "0.0", "0.0"),
        ("conv1", "load", "40", "0.0", "2.0", "0.5", "0.3", "2.0"),
        ("", "compute", "1,234", "5.0", "0.0", "0.5", "4.0", "5.0"),
    ]
    assert "30 of 30 named nets" in table.caption


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 0),
        ({"mismatches": 1}, 1),
        ({"classes_that_differ": 1}, 1),
        ({"failure": "no result in 100 cycles"}, 1),
        (
            {
                "windows": {
                    "reset": window(5, sums(0, 0, 0)),
                    "named_nets": 31,
                    "annotated_nets": 30,
                }
            },
            1,
        ),
    ],
)
def test_what_differs_or_is_missing_fails(change, status, simulated, tmp_path):
    simulated.update(change)
    result = CliRunner().invoke(main, ["activity", "network", "--out", str(tmp_path)])
    assert result.exit_code == status, result.output
    assert len(json.loads((tmp_path / "activity.json").read_text())["runs"]) == 1
