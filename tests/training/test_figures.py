"""Figures of a run's history: what they show of made-up epochs, and what cannot be drawn."""

import itertools
import json

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("matplotlib", reason="figures need the extra of that name")

from adq.cli import main
from adq.runs.density_figures import FigureError, _apart, draw, read_history
from adq.runs.run import Run
from tests.kept_results import metrics

LAYERS = ("conv1", "conv2", "conv3", "linear")


def epoch(number, iteration, bits, density=(0.5, 0.52, 0.1), channels=(16, 32, 32, 10), **more):
    return {
        "network": "mixed",
        "epoch": number,
        "iteration": iteration,
        "loss": 1.0,
        "accuracy": 0.5,
        "density": dict(zip(LAYERS[:-1], density, strict=True)),
        "bits": dict(zip(LAYERS, bits, strict=True)),
        "channels": dict(zip(LAYERS, channels, strict=True)),
        **more,
    }


HISTORY = [
    epoch(1, 1, (16, 16, 16, 16)),
    epoch(2, 1, (16, 16, 16, 16), (0.6, 0.4, 0.2)),
    epoch(3, 2, (16, 6, 3, 16), (0.55, 0.45, 0.25)),
    epoch(1, 1, (16, 16, 16, 16), (0.9, 0.9, 0.9), network="baseline"),
]
PRUNED = [*HISTORY[:2], epoch(3, 2, (16, 6, 3, 16), channels=(10, 13, 8, 10))]


def texts(axes) -> list[str]:
    return [each.get_text() for each in axes.texts]


def test_a_line_a_layer_with_its_name():
    axes = draw(HISTORY, title="run")["density"].axes[0]
    lines = {line.get_label(): line for line in axes.lines if line.get_label() in LAYERS}
    assert list(lines) == ["conv1", "conv2", "conv3"]
    assert lines["conv2"].get_ydata().tolist() == [0.52, 0.4, 0.45]
    assert lines["conv2"].get_xdata().tolist() == [1, 2, 3]
    assert {*lines, "iteration 1", "2"} == set(texts(axes))
    styles = {(line.get_linestyle(), tuple(line.get_color())) for line in lines.values()}
    assert len(styles) == 3


def test_a_field_a_layer_and_iteration_with_its_number():
    figure = draw(HISTORY, title="run")["bits"]
    (axes,) = figure.axes  # no channel was pruned
    assert texts(axes) == ["16"] * 4 + ["16", "6", "3", "16"]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(LAYERS)
    shown = axes.images[0].get_array()
    assert shown[2].tolist() == [16, 16, 3]


def test_channels_where_any_were_pruned():
    bits, channels = draw(PRUNED, title="run")["bits"].axes
    assert texts(bits)[4:] == ["16", "6", "3", "16"]
    assert texts(channels) == ["16", "32", "32", "10", "10", "13", "8", "10"]


def test_names_keep_apart_and_close_to_their_lines():
    rng = np.random.default_rng(3)
    for _ in range(50):
        places = np.sort(rng.uniform(0, 1, 12)).tolist()
        moved = _apart(places, 0.05)
        assert all(b - a >= 0.05 - 1e-12 for a, b in itertools.pairwise(moved))
        # Nobody is pushed one way only.
        assert np.mean(moved) == pytest.approx(np.mean(places))
    assert _apart([0.1, 0.5, 0.9], 0.05) == pytest.approx([0.1, 0.5, 0.9])


def figures(folder, *options):
    return CliRunner().invoke(main, ["figures", str(folder), *options])


def write(folder, history):
    folder.mkdir(exist_ok=True)
    Run(folder).write_history(history)
    return folder


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_the_command(tmp_path, ending):
    folder = write(tmp_path / "run", PRUNED)
    for _ in range(2):  # the second time in place of the first
        result = figures(folder, "--format", ending)
        assert result.exit_code == 0, result.stderr
    written = sorted(path.name for path in folder.iterdir())
    assert written == [f"bits.{ending}", f"density.{ending}", "history.jsonl"]


def test_the_same_history_gives_the_same_file(tmp_path):
    folder = write(tmp_path / "run", PRUNED)
    for out in ("a", "b"):
        assert figures(folder, "--out", str(tmp_path / out)).exit_code == 0
    for name in ("bits.svg", "density.svg"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_kept_result(tmp_path):
    result = tmp_path / "some.json"
    result.write_text(json.dumps({**metrics(), "history": HISTORY}))
    assert read_history(result) == HISTORY


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "history.jsonl: is not there: give the folder of a run"),
        ("", "the history holds no epoch of the mixed network: train an epoch first"),
        ('{"network": "mixed"\n', "history.jsonl: is damaged (not valid JSON"),
        ("3\n", "history.jsonl: is damaged ($: 3 is not of type 'object'): train again"),
        ('{"network": "mixed", "bits": {}}\n', "is a required property): train again"),
        ('{"network": "other"}\n', "is damaged ($"),
        (json.dumps(HISTORY[0]) + "\n", "line 1: its sha256 is not that of the lines up to it"),
    ],
)
def test_what_cannot_be_drawn(tmp_path, content, message):
    if content is not None:
        (tmp_path / "history.jsonl").write_text(content)
    result = figures(tmp_path)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_an_epoch_without_density_is_none():
    history = [epoch(1, 1, (16,) * 4) | {"density": {}}]
    with pytest.raises(FigureError, match="holds no activation density"):
        draw(history, title="run")
