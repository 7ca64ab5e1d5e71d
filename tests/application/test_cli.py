"""The command line: what it says to mistakes, and what it must not import to say it."""

import importlib
import shutil
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from adq.cli.application import COMMANDS, EXTRAS, NAMED_ERRORS, _for_people, explain, main
from tests.places import ROOT


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_answers_without_the_heavy_packages(command):
    arguments = [command, "--help"] if command else ["--help"]
    script = (
        "import sys\nfrom adq.cli import main\n"
        f"try:\n    main({arguments!r})\n"
        "except SystemExit as error:\n    assert error.code == 0\n"
        "heavy = {'torch', 'numpy', 'sklearn', 'amaranth', 'cocotb'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "Usage:" in result.stdout


@pytest.mark.parametrize("name", sorted(NAMED_ERRORS))
def test_named_errors_exist(name):
    module, _, error = name.rpartition(".")
    found = getattr(importlib.import_module(module), error)
    assert issubclass(found, Exception)
    assert found.__module__ == module  # errors are looked up by the module that defines them


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["train", "absent.toml", "--out", "run"],
            "absent.toml: cannot be read (No such file or directory): give the path of a recipe, "
            "or the name of one that comes with adq, such as digits",
        ),
        (
            ["train", "misspelt.toml", "--out", "run"],
            "misspelt.toml: epoch is not a key of [training]: did you mean epochs?",
        ),
        (
            ["export", "nowhere", "artifact"],
            "nowhere: holds no finished run: train one with adq train digits --out nowhere",
        ),
        (["verify", "nowhere"], "nowhere: no such folder: give the folder of an artifact"),
    ],
)
def test_mistakes_are_one_line_and_status_2(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "misspelt.toml").write_text("[training]\nepoch = 3\n")
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert result.stderr == f"error: {message}\n"
    assert result.stdout.strip() == ""
    assert [path.name for path in tmp_path.iterdir()] == ["misspelt.toml"]


def command_that_raises(error: BaseException) -> typer.Typer:
    app = typer.Typer()

    def command() -> None:
        raise error

    app.command()(_for_people(command))
    return app


def test_an_interrupt_is_one_line_and_status_130():
    result = CliRunner().invoke(command_that_raises(KeyboardInterrupt()), [])
    assert result.exit_code == 130
    assert result.stderr == "interrupted\n"


def test_a_message_of_many_lines_becomes_one():
    from adq.fields import ConfigError

    result = CliRunner().invoke(command_that_raises(ConfigError("a\n  b")), [])
    assert result.stderr == "error: a b\n"


def test_a_full_disk_and_a_missing_package_are_explained():
    full = OSError(28, "No space left on device", "runs/x/metrics.json")
    assert explain(full).startswith("runs/x/metrics.json: No space left on device: check")
    for package, extra in EXTRAS.items():
        missing = ModuleNotFoundError(f"No module named {package!r}", name=package)
        assert explain(missing).endswith(f"pip install -e '.[{extra}]'")


def test_a_defect_keeps_its_traceback():
    result = CliRunner().invoke(command_that_raises(ZeroDivisionError()), [])
    assert isinstance(result.exception, ZeroDivisionError)
    assert explain(ModuleNotFoundError("No module named 'adq.typo'", name="adq.typo")) is None


@pytest.mark.parametrize("command", ["verify", "map", "cost", "energy"])
def test_square_brackets_in_a_path_are_text(command, tmp_path, monkeypatch):
    # To Rich's markup the end of something red, with no beginning.
    monkeypatch.chdir(tmp_path)
    vectors = ROOT / "golden/vectors/digits/mixed"
    shutil.copytree(vectors, "[/red]")
    tile = vectors.parents[3] / "configs/tile/64x64.toml"
    options = [] if command in ("verify", "cost") else ["--tile", str(tile)]
    result = CliRunner().invoke(main, [command, "[/red]", *options, "--out", "out"])
    assert result.exit_code == 0, result.output
    assert "[/red]" in result.stdout
