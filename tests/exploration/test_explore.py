"""Exploration: spaces, points, fronts, and what is kept of them."""

import itertools
import json
import random

import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.design_result import OBJECTIVES, DesignResult, Method
from adq.energy.coefficients import coefficients_for
from adq.energy.sources import artifact_energy
from adq.explore.confirmation import confirm
from adq.explore.exploration import Explorer
from adq.explore.outcome.front import front
from adq.explore.outcome.store import Store, TileSynthesis
from adq.explore.space import ExploreError, Point, Space
from adq.rtl.parameters import TileParameters
from adq.verif.parallel.pool_choice import pool_of
from adq.verif.parallel.shards import WHOLE, Shard
from adq.verif.processes import Processes
from tests.places import MODELS, ROOT

pytestmark = pytest.mark.testpoint(reason="Energy of networks: software above the contracts.")


DIGITS = ROOT / "golden" / "vectors" / "digits" / "mixed"

SPACE = f"""
title = "Digits"
objectives = ["energy_pj", "cycles"]
[axes]
network = "{DIGITS}"
rows = [16, 32]
columns = [16, 32]
"""


@pytest.fixture
def space(tmp_path):
    """Write a space of these lines, and read it."""

    def write(text: str = SPACE) -> Space:
        path = tmp_path / "space.toml"
        path.write_text(text)
        return Space.read(path)

    return write


def explore(space, cache, **options):
    """Explore in this process; the explorer, too, which counts its new points."""
    with pool_of(workers=1, processes=Processes()) as pool:
        explorer = Explorer(space, Store(cache), pool, **options)
        return explorer.explore(), explorer


# Spaces


def test_a_grid_has_every_point_once(space):
    found = space(SPACE.replace("[16, 32]", "[16, 32, 16]", 1))
    points = [point.values for point in found.grid()]
    assert found.size == len(points) == 4
    assert {(p["rows"], p["columns"]) for p in points} == {*itertools.product((16, 32), (16, 32))}
    assert found.varied == ["rows", "columns"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rows =", "row =", "unknown axis 'row'; did you mean 'rows'?"),
        ("[axes]", "[axis]", "unknown key 'axis'; did you mean 'axes'?"),
        ("cycles", "cycle", "unknown objective 'cycle'; did you mean 'cycles'?"),
        ("network", "library", "has no network"),
        ("[16, 32]", '["a"]', "axis rows has the value 'a': it must be an integer"),
        ("[16, 32]", "[]", "axis rows has no value"),
        ("[axes]", "search = 1\n[axes]", "search must be a table"),
        ("[axes]", "[search]\nsampler = 'best'\n[axes]", "sampler 'best' must be one of grid"),
        ("[axes]", "[search]\npoints = 0\n[axes]", r"points of \[search\] must be an integer"),
        ("[16, 32]", str(list(range(10_001))), "points, more than 20,000"),
        ("title =", "title", "not valid TOML"),
    ],
)
def test_a_space_with_a_mistake_is_refused_with_its_place(space, old, new, message):
    with pytest.raises(ExploreError, match=rf"space\.toml: .*{message}"):
        space(SPACE.replace(old, new, 1))


def test_a_network_that_is_not_there(space, tmp_path):
    with pytest.raises(ExploreError, match=r"network 'gone' is no golden artifact .* vgg9"):
        explore(space(SPACE.replace(str(DIGITS), "gone")), tmp_path)


# Figures of points


def test_figures_of_a_point_are_those_of_the_energy_model(space, tmp_path):
    found, _ = explore(space(), tmp_path)
    [result] = [r for r in found.results if (r.tile["rows"], r.tile["columns"]) == (32, 16)]
    model = coefficients_for("nangate45", TileParameters(rows=32, columns=16))
    energy = artifact_energy(DIGITS, model, 1)
    assert result.energy_pj == pytest.approx(
        energy.total("compute_pj") + energy.total("load_once_pj")
    )
    cycles = [layer.layer.features["cycles"] for layer in energy.layers]
    assert result.cycles == sum(cycles)
    assert [layer.cycles for layer in result.layers] == cycles
    assert sum(result.blocks_pj().values()) == pytest.approx(result.compute_pj)
    assert result.area_um2 is None  # between sizes, there is no netlist to tell the cells of


def test_area_is_that_of_a_netlist_or_missing(space, tmp_path):
    found, _ = explore(space(), tmp_path)
    areas = {(r.tile["rows"], r.tile["columns"]): r.area_um2 for r in found.results}
    own = coefficients_for("nangate45", TileParameters(rows=16, columns=16)).area_um2
    assert areas == {
        (16, 32): None,
        (32, 16): None,
        (16, 16): own,
        (32, 32): coefficients_for("nangate45", TileParameters(rows=32, columns=32)).area_um2,
    }
    assert all(result.clock_mhz is None for result in found.results)


def test_syntheses_that_are_kept_give_area_and_clock(space, tmp_path):
    text = SPACE.replace('"cycles"]', '"clock_mhz"]')
    store = Store(tmp_path)
    tile = TileParameters(rows=16, columns=32)
    liberty = coefficients_for("nangate45", tile).provenance["liberty"]["sha256"]
    store.keep_synthesis(tile, liberty, TileSynthesis(123.0, 2.0))
    found, _ = explore(space(text), tmp_path)
    [known] = [result for result in found.results if result.clock_mhz is not None]
    assert (known.tile["rows"], known.tile["columns"]) == (16, 32)
    assert (known.area_um2, known.clock_mhz) == (123.0, 500.0)
    assert found.incomplete == {"clock_mhz": 3}
    assert found.front == [known]
    # A tile that differs in its partial sum buffer alone has the same array.
    assert store.read_synthesis(TileParameters(rows=16, columns=32, partial_sums=7), liberty)
    assert store.read_synthesis(TileParameters(rows=16, columns=48), liberty) is None
    assert store.read_synthesis(tile, "another library") is None


def test_ends_of_an_architecture_have_bits_of_their_own(space, tmp_path):
    text = SPACE.replace(str(DIGITS), "vgg9").replace("[16, 32]", "64")
    more = "bits = 4\nfirst_bits = 16\nlast_bits = 8\n"
    [result] = explore(space(text + more), tmp_path)[0].results
    bits = [layer.weight_bits for layer in result.layers]
    assert bits == [16, *[4] * (len(bits) - 2), 8]


def test_points_that_cannot_be_built_are_left_out_with_their_reason(space, tmp_path):
    text = SPACE.replace("columns = [16, 32]", "columns = [16, 20]")
    found, _ = explore(space(text), tmp_path)
    assert {r.tile["columns"] for r in found.results} == {16}
    assert len(found.skipped) == 2
    for reason in found.skipped.values():
        assert reason.startswith("columns must be a multiple of 16, not 20: ")
    with pytest.raises(ExploreError, match=r"columns 20, .*: columns must be a multiple of 16"):
        explore(space(text), tmp_path, strict=True)
    found, _ = explore(space(SPACE + "bits = 4\n"), tmp_path)
    assert not found.results
    assert "bits is of architectures" in next(iter(found.skipped.values()))


# Results that are kept


def test_what_is_known_is_not_computed_again(space, tmp_path):
    first, explorer = explore(space(), tmp_path)
    assert explorer.new == 4
    second, explorer = explore(space(SPACE.replace("[16, 32]", "[16, 32, 48]", 1)), tmp_path)
    assert explorer.new == 2
    assert [r.write() for r in second.results[:4]] == [r.write() for r in first.results]


def test_half_written_results_are_made_again_and_named(space, tmp_path):
    first, _ = explore(space(), tmp_path)
    file = sorted((tmp_path / "points").iterdir())[0]
    whole = file.read_text()
    file.write_text(whole[: len(whole) // 2])
    second, explorer = explore(space(), tmp_path)
    assert explorer.new == 1
    assert explorer.store.damaged == [file]
    assert [r.write() for r in second.results] == [r.write() for r in first.results]
    assert file.read_text() == whole


def test_shards_and_processes_fill_the_same_cache(space, tmp_path):
    whole, _ = explore(space(), tmp_path / "whole")
    for number in (1, 2, 3):
        explore(space(), tmp_path / "shards", shard=Shard(number, 3))
    collected, explorer = explore(space(), tmp_path / "shards")
    assert explorer.new == 0
    assert [r.write() for r in collected.results] == [r.write() for r in whole.results]
    with pool_of(workers=2) as pool:
        explorer = Explorer(space(), Store(tmp_path / "processes"), pool, shard=WHOLE)
        there = explorer.explore()
    assert [r.write() for r in there.results] == [r.write() for r in whole.results]


def test_a_sampler_chooses_the_same_points_again(space, tmp_path):
    pytest.importorskip("optuna")
    text = SPACE.replace("[16, 32]", "[16, 32, 48, 64]")
    text += '[search]\nsampler = "nsga2"\npoints = 12\nseed = 3\n'
    first, explorer = explore(space(text), tmp_path)
    assert 1 < explorer.new <= 12
    second, explorer = explore(space(text), tmp_path)
    assert explorer.new == 0
    assert [r.point for r in second.results] == [r.point for r in first.results]
    with pytest.raises(ExploreError, match="the sampler nsga2 has no shards"):
        explore(space(text), tmp_path, shard=Shard(1, 2))


# Fronts


def result(number: int, **fields) -> DesignResult:
    return DesignResult(
        network=str(number), method=Method.PREDICTED, tile={}, library="", load_pj=0.0, **fields
    )


def test_the_front_is_what_pairwise_comparison_leaves():
    """Random figures with ties, compared pair by pair by the definition."""
    rng = random.Random(7)
    for _ in range(20):
        results = [
            result(
                n,
                compute_pj=float(rng.randrange(6)),
                cycles=float(rng.randrange(6)),
                accuracy=rng.randrange(6) / 6,
            )
            for n in range(30)
        ]
        names = ("energy_pj", "cycles", "accuracy")

        def beats(one, other, names=names):
            pairs = [(one.objective(n), other.objective(n), OBJECTIVES[n]) for n in names]
            worse = any(objective.better(b, a) for a, b, objective in pairs)
            return not worse and any(objective.better(a, b) for a, b, objective in pairs)

        expected = {r.network for r in results if not any(beats(o, r) for o in results)}
        found = front(results, names)
        assert {r.network for r in found} == expected
        assert [r.energy_pj for r in found] == sorted(r.energy_pj for r in found)


def test_results_without_a_figure_are_on_no_front():
    whole, lacking = result(1, compute_pj=9.0, cycles=9.0), result(2, compute_pj=1.0)
    assert front([whole, lacking], ("energy_pj", "cycles")) == [whole]


def test_a_point_says_its_values():
    assert str(Point.of({"rows": 16, "bits": [4, 3]})) == "bits [4, 3], rows 16"


# The command


def run(*arguments):
    return CliRunner().invoke(main, ["explore", *map(str, arguments)])


def test_the_command_writes_a_table_figures_and_parquet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiles.toml").write_text(SPACE)
    told = run("tiles.toml", "--processes", 1, "--figures", "--parquet", "--top", 2)
    assert told.exit_code == 0, told.output
    folder = tmp_path / "build" / "explore" / "tiles"
    document = json.loads((folder / "results.json").read_text())
    results = [DesignResult.from_json(each) for each in document["results"]]
    assert len(results) == 4
    assert document["front"]
    assert {path.name for path in folder.iterdir()} >= {
        *("axes.svg", "energy.svg", "front.svg", "results.json", "results.parquet")
    }
    from pyarrow import parquet

    table = parquet.read_table(folder / "results.parquet").to_pylist()
    assert [row["energy_pj"] for row in table] == [r.energy_pj for r in results]
    assert "4 points, of which 4 are new" in told.output


def test_objectives_that_no_point_has_are_an_error_that_says_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.toml").write_text(SPACE.replace('"cycles"]', '"latency_us"]'))
    told = run("s.toml", "--processes", 1)
    assert told.exit_code == 2
    assert (
        "no point has a figure for each of energy_pj, latency_us: give the Liberty" in told.output
    )
    assert json.loads((tmp_path / "build/explore/s/results.json").read_text())["results"]


def test_a_space_that_is_not_there():
    told = run("nothing")
    assert told.exit_code == 2
    assert "no explore configuration of this name comes with adq" in told.output


def test_spaces_that_come_with_adq_can_be_read():
    for path in sorted((ROOT / "configs" / "explore").glob("*.toml")):
        space = Space.read(path)
        Explorer(space, Store(ROOT / "build" / "explore" / "cache"), None)
        assert space.size > 1


@pytest.mark.slow
def test_a_point_of_the_front_agrees_with_its_simulation(space, tmp_path):
    found, _ = explore(space(SPACE.replace("[16, 32]", "[32]")), tmp_path)
    [confirmation] = confirm(found, 1, out=tmp_path / "confirm", cache=MODELS)
    assert confirmation.problems == ()
    assert confirmation.counted.cycles == confirmation.predicted.cycles
    assert abs(confirmation.difference) < 0.07
    assert confirmation.counted.method is Method.COUNTED
