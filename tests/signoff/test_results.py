"""Kept results: what is kept of a run, and the tables made of it."""

import json
from pathlib import Path

import pytest

from adq.runs.result_tables import BEGIN, END, markdown, write_page
from adq.runs.results import ResultError, keep, kept_name, read_results
from adq.runs.run import Run
from adq.training.config import Recipe
from tests.kept_results import metrics

RECIPE = '[training]\nepochs = 2\nthreads = 2\n[data]\nname = "cifar10"\ntrain_images = 10000\n'


@pytest.fixture
def recipes(tmp_path):
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "cifar10-vgg19.toml").write_text(RECIPE)
    (folder / "other.toml").write_text("[training]\nepochs = 3\n")
    return folder


@pytest.fixture
def run(tmp_path, recipes):
    changes = ["training.device=cuda", "data.path=elsewhere", "training.threads=1"]
    recipe = Recipe.from_toml(recipes / "cifar10-vgg19.toml", changes)
    run = Run.create(tmp_path / "run", recipe)
    epoch = {
        "network": "mixed",
        "epoch": 1,
        "iteration": 1,
        "loss": 1.23456789,
        "accuracy": 0.5,
        "bits": {"conv1": 16},
        "channels": {"conv1": 32},
        "macs": {"conv1": 1000},
        "density": {"conv1": 0.123456},
    }
    run.write_history([epoch])
    run.write_metrics(metrics(recipe))
    return run


def test_what_is_kept(run, recipes, tmp_path):
    name = kept_name(run, recipes)
    assert name == "cifar10-vgg19"
    path = keep(run, name, tmp_path / "results")
    kept = json.loads(path.read_text())
    assert kept["history"][0]["density"] == {"conv1": 0.1235}
    assert kept["mixed"]["accuracy"] == 0.725
    assert kept["recipe"]["training"]["epochs"] == 2


def test_a_run_of_no_checked_in_recipe(run, recipes):
    (recipes / "cifar10-vgg19.toml").write_text(RECIPE.replace("epochs = 2", "epochs = 4"))
    with pytest.raises(ResultError, match=r"no recipe in .* has this run's values"):
        kept_name(run, recipes)


def test_tables(run, tmp_path):
    keep(run, "cifar10-vgg19", tmp_path)
    table = markdown(read_results(tmp_path), ["cifar10-vgg19", "cifar10-vgg19-pruned"])
    lines = table.splitlines()
    assert lines[2] == (
        "| `cifar10-vgg19` | 72.50% | 73.12% | -0.62 points | 4.88x | 0.432 | 12.3x "
        "| 5.12x (abstract) |"
    )
    assert lines[3] == (
        "| `cifar10-vgg19-pruned` | not run | - | - | - | - | - | 198x (abstract) |"
    )
    assert lines[5].endswith(
        "10,000 training images, seed 0, 2 epochs in 1.2 + 0.5 minutes, CPU, threads: 1; torch 2.0."
    )
    assert lines[-1] == "| 1 | 2 | 72.50% | 16 3 | 32 64 | 0.53 0.41 |"


@pytest.mark.parametrize(
    ("recipe", "changes", "name"),
    [
        ("", ["training.seed=3"], "seeds/cifar10-vgg19-3"),
        ("", ["training.baseline=true"], "cifar10-vgg19"),
        (
            "baseline = true\n",
            ["training.seed=12", "training.baseline=false"],
            "seeds/cifar10-vgg19-12",
        ),
        ("seed = 4\n", [], "cifar10-vgg19"),
        ("seed = 4\n", ["training.seed=0"], "seeds/cifar10-vgg19-0"),
    ],
)
def test_names_of_runs_with_other_seeds(recipes, tmp_path, recipe, changes, name):
    path = recipes / "cifar10-vgg19.toml"
    path.write_text(RECIPE.replace("epochs = 2\n", f"epochs = 2\n{recipe}"))
    run = Run.create(tmp_path / "run", Recipe.from_toml(path, changes))
    assert kept_name(run, recipes) == name


def test_a_run_without_the_baseline_of_its_recipe_replaces_nothing(recipes, tmp_path):
    path = recipes / "cifar10-vgg19.toml"
    path.write_text(RECIPE.replace("epochs = 2\n", "epochs = 2\nbaseline = true\n"))
    run = Run.create(tmp_path / "run", Recipe.from_toml(path, ["training.baseline=false"]))
    with pytest.raises(ResultError, match="no recipe"):
        kept_name(run, recipes)


def test_table_of_several_seeds(run, tmp_path):
    """Accuracies 72, 73 and 77 % have mean 74 and deviation sqrt(14 / 2); baselines 74, 75, 76."""
    kept = json.loads(keep(run, "cifar10-vgg19", tmp_path).read_text())
    (tmp_path / "seeds").mkdir()
    for seed, accuracy, baseline in ((0, 0.72, 0.74), (1, 0.73, 0.75), (2, 0.77, 0.76)):
        kept["recipe"]["training"]["seed"] = seed
        kept["mixed"]["accuracy"] = accuracy
        kept["mixed"]["mac_reduction"] = 4.0 + seed
        kept["baseline"]["accuracy"] = baseline
        name = f"seeds/cifar10-vgg19-{seed}" if seed else "cifar10-vgg19"
        (tmp_path / f"{name}.json").write_text(json.dumps(kept))
    (tmp_path / "seeds" / "cifar10-vgg19-pruned-7.json").write_text(json.dumps(kept))
    lines = markdown(read_results(tmp_path), ["cifar10-vgg19", "cifar10-vgg19-pruned"]).splitlines()
    rows = [line for line in lines if "+-" in line and line.startswith("|")]
    assert rows == [
        "| `cifar10-vgg19` | 0, 1, 2 | 74.00 +- 2.65% | 75.00 +- 1.00% | -1.00 +- 1.73 points "
        "| 5.00 +- 1.00x | 12.3 +- 0.0x |"
    ]


def test_a_seed_without_a_baseline_leaves_the_difference_open(run, tmp_path):
    kept = json.loads(keep(run, "cifar10-vgg19", tmp_path).read_text())
    (tmp_path / "seeds").mkdir()
    del kept["baseline"]
    kept["recipe"]["training"]["seed"] = 1
    path = tmp_path / "seeds" / "cifar10-vgg19-1.json"
    path.write_text(json.dumps(kept))
    assert "| 0, 1 | 72.50 +- 0.00% | - | - |" in markdown(
        read_results(tmp_path), ["cifar10-vgg19"]
    )


def test_operating_points(run, tmp_path):
    path = keep(run, "cifar10-vgg19", tmp_path)
    content = json.loads(path.read_text())

    def point(name, energy, bits, *, trained=True):
        return {
            "name": name,
            "trained": trained,
            "accuracy": 0.625,
            "average_bits": 4.5,
            "energy_nj": energy,
            "cycles": 1234567.8,
            "bits": {"conv1": 16, "linear": bits},
        }

    points = [
        point("iteration 1", 90_000.0, 16),
        point("iteration 2", 20_000.0, 3),
        point("16 bits", 80_000.0, 16),
        point("4 bits", 5_000.0, 4, trained=False),
    ]
    path.write_text(json.dumps(content | {"operating_points": points}))
    lines = markdown(read_results(tmp_path), ["cifar10-vgg19"]).splitlines()
    assert (
        lines[-7:]
        == [
            "Energy of computing on `64x64`:",
            "",
            "| network | accuracy | bits a MAC | uJ an image | cycles an image "
            "| times less energy |",
            "|---|---|---|---|---|---|",
            *(
                f"| {name} | 62.50% | 4.50 | {energy} | 1,234,568 | {ratio}x |"
                for name, energy, ratio in (
                    ("iteration 1", "90.0", "0.9"),
                    ("iteration 2", "20.0", "4.0"),
                    ("16 bits", "80.0", "1.0"),
                    ("4 bits, not trained at them", "5.0", "16.0"),
                )
            ),
        ][-7:]
    )
    without_tile = [each | {"energy_nj": None, "cycles": None} for each in points]
    path.write_text(json.dumps(content | {"operating_points": without_tile}))
    assert "Energy of computing" not in markdown(read_results(tmp_path), ["cifar10-vgg19"])


def test_a_run_without_a_baseline_takes_that_of_the_same_training(run, tmp_path):
    """Bits and channels fall in another way; epochs, seed, data and model must be the same."""
    keep(run, "cifar10-vgg19", tmp_path)
    alone = json.loads((tmp_path / "cifar10-vgg19.json").read_text())
    del alone["baseline"]
    alone["mixed"]["accuracy"] = 0.7212
    alone["recipe"]["training"] |= {"baseline": False, "threads": 7}
    alone["recipe"]["controller"]["pruning"] = True
    path = tmp_path / "cifar10-vgg19-pruned.json"
    path.write_text(json.dumps(alone))
    table = markdown(read_results(tmp_path), ["cifar10-vgg19-pruned"])
    assert "| 72.12% | 73.12% | -1.00 points |" in table
    alone["recipe"]["training"]["epochs"] += 1
    path.write_text(json.dumps(alone))
    table = markdown(read_results(tmp_path), ["cifar10-vgg19-pruned"])
    assert "| 72.12% | - | - |" in table


def test_the_page_keeps_what_is_around_the_tables(run, tmp_path):
    results = tmp_path / "results"
    keep(run, "cifar10-vgg19", results)
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{BEGIN}\nold\n{END}\n\nbehind\n")
    for _ in range(2):
        write_page(page, read_results(results), ["cifar10-vgg19"])
        text = page.read_text()
        assert text.startswith(f"before\n\n{BEGIN}\n\n| recipe")
        assert text.endswith(f"{END}\n\nbehind\n")
        assert "old" not in text


def test_a_page_without_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("nothing\n")
    with pytest.raises(ResultError, match="lacks the lines"):
        write_page(page, {}, [])
    assert page.read_text() == "nothing\n"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"mixed": 3}'])
def test_a_damaged_result(tmp_path, text):
    Path(tmp_path, "bad.json").write_text(text)
    with pytest.raises(ResultError, match=r"bad\.json: is no result of a training run"):
        read_results(tmp_path)
