"""Folders of runs: what is overwritten when, what is resumed, what is noticed."""

import dataclasses
from pathlib import Path

import pytest

from adq.runs.run import Run, RunError
from adq.training.config import Recipe, TrainingConfig
from tests.kept_results import history, metrics

RECIPE = Recipe(training=TrainingConfig(epochs=4))


def changed(**training) -> Recipe:
    return dataclasses.replace(RECIPE, training=dataclasses.replace(RECIPE.training, **training))


def finished(path: Path, recipe: Recipe = RECIPE) -> Run:
    run = Run.create(path, recipe)
    run.write_history(history(2))
    run.write_metrics(metrics(recipe))
    run.mixed.write_text("old checkpoint")
    return run


def contents(path: Path) -> dict[str, str]:
    return {each.name: each.read_text() for each in path.iterdir()}


def test_a_run_is_not_overwritten_by_accident(tmp_path):
    run = finished(tmp_path / "run")
    before = contents(run.path)
    with pytest.raises(RunError, match=r"holds a run already: add --resume .* or --overwrite"):
        Run.create(run.path, RECIPE)
    assert contents(run.path) == before


def test_an_overwritten_run_stays_until_the_new_one_takes_its_place(tmp_path):
    old = finished(tmp_path / "run")
    before = contents(old.path)
    new = Run.create(old.path, changed(epochs=5), overwrite=True)
    new.mixed.write_text("new checkpoint")
    assert contents(old.path) == before
    # Killed here, and started again: what was left of the new run is gone.
    new = Run.create(old.path, changed(epochs=6), overwrite=True)
    assert not new.mixed.exists()
    assert contents(old.path) == before
    new.mixed.write_text("newer checkpoint")
    new = new.take_place()
    assert new.path == old.path
    assert new.read_recipe().training.epochs == 6
    assert sorted(contents(old.path)) == ["checkpoint.pt", "config.toml"]
    assert contents(old.path)["checkpoint.pt"] == "newer checkpoint"
    assert [each.name for each in tmp_path.iterdir()] == ["run"]


def test_a_new_run_is_in_its_place_at_once(tmp_path):
    run = Run.create(tmp_path / "deep" / "run", RECIPE)
    assert run.take_place() == run
    assert run.read_recipe() == RECIPE


def test_overwriting_removes_nothing_that_no_run_has_written(tmp_path):
    run = finished(tmp_path / "run")
    (run.path / "thesis.tex").write_text("three years")
    (run.path / "densities.svg").write_text("a figure of the run")
    with pytest.raises(RunError, match=r"would remove thesis\.tex, which belongs to no run"):
        Run.create(run.path, RECIPE, overwrite=True)
    assert (run.path / "thesis.tex").exists()


def test_a_folder_that_is_none(tmp_path):
    path = tmp_path / "file"
    path.write_text("text")
    with pytest.raises(RunError, match="is not a folder"):
        Run.create(path, RECIPE)


def test_resuming_starts_a_run_where_there_is_none(tmp_path):
    run = Run.resume(tmp_path / "run", RECIPE)
    assert run.read_recipe() == RECIPE
    assert not run.finished


@pytest.mark.parametrize("start", [Run.create, Run.resume])
def test_a_run_that_came_to_nothing_is_none(tmp_path, start):
    Run.create(tmp_path / "run", RECIPE)
    run = start(tmp_path / "run", changed(epochs=5))
    assert run.read_recipe().training.epochs == 5
    assert run.target is None


def test_resuming_keeps_what_is_there_but_for_remains_of_a_crash(tmp_path):
    run = finished(tmp_path / "run")
    before = contents(run.path)
    (run.path / ".checkpoint.pt.x7v").write_text("half a check")
    assert Run.resume(run.path, RECIPE).finished
    assert contents(run.path) == before


def test_resuming_by_another_recipe(tmp_path):
    run = finished(tmp_path / "run")
    with pytest.raises(RunError, match=r"of another recipe \(\[training\] epochs is 4 and 5, in"):
        Run.resume(run.path, changed(epochs=5))


def test_an_edited_config_is_noticed(tmp_path):
    run = finished(tmp_path / "run")
    assert Run.open(run.path).read_recipe() == RECIPE
    run.config.write_text(changed(seed=7).to_toml())
    with pytest.raises(RunError, match=r"was changed since .* \(\[training\] seed is 0 and 7, in"):
        Run.open(run.path)


@pytest.mark.parametrize("text", ["", "[1]", "{", "{}", '{"mixed": 1}'])
def test_damaged_metrics(tmp_path, text):
    run = finished(tmp_path / "run")
    run.metrics.write_text(text)
    with pytest.raises(RunError, match=r"metrics\.json: .*: train again"):
        Run.open(run.path)


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(RunError, match="holds no finished run: train one with adq train"):
        Run.open(tmp_path)


def test_a_run_that_is_not_finished(tmp_path):
    run = Run.create(tmp_path / "run", RECIPE)
    run.mixed.write_text("checkpoint of the first epoch")
    with pytest.raises(RunError, match=r"is not finished: adq train .* --resume"):
        Run.open(run.path)
