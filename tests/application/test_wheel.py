"""The wheel, installed into an environment of its own, beside a project with the same names."""

import os
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.places import ROOT

DROPPED = ("PIP_CONSTRAINT", "PYTHONPATH")
"""Variables of `make test` that hold for this folder alone."""

NOT_FOR_USERS = (
    *("adq/golden/vectors/", "adq/verif/bench/", "adq/verif/cocotb/"),
    *("adq/verif/signoff/", "adq/verif/waveform/", "adq/cli/dev/", "adq/signoff/"),
    *("adq/benchmarks/", "tests/"),
)


def run(*command: str | Path, folder: Path, **environment: str) -> str:
    """Run a command in a folder; what it printed. Its failure is this test's."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={name: text for name, text in os.environ.items() if name not in DROPPED} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ("--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", folder)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", *options, ROOT, folder=folder)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def project(wheel, tmp_path_factory) -> Path:
    """A user's project, with an environment in ``venv`` and modules that are called as our folders
    are.

    The environment holds the wheel alone. Libraries are those of the environment that runs the
    tests, whose own copy of this project stays out: a path file in another's folder is not read.
    """
    project = tmp_path_factory.mktemp("project")
    environment = project / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", environment, folder=project)
    python = environment / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
    run(*pip, "--no-deps", "--no-index", wheel, folder=project)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "libraries.pth").write_text("\n".join(site.getsitepackages()))
    for tool in Path(sys.executable).parent.iterdir():
        if not (environment / "bin" / tool.name).exists() and tool.name != "adq":
            (environment / "bin" / tool.name).symlink_to(tool)
    (project / "rtl.py").write_text("raise RuntimeError('the user project was imported')\n")
    for name in ("rtl", "golden", "verif"):
        (project / name).mkdir()
        (project / name / "__init__.py").write_text("raise RuntimeError('not this one')\n")
    return project


def test_it_holds_what_users_need_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"adq"}
    assert [name for name in names if name.startswith(NOT_FOR_USERS)] == []
    for needed in (
        *("rtl/tile.py", "golden/manifest.schema.json", "py.typed"),
        *("configs/tile/64x64.toml", "configs/train/digits.toml"),
        *("verif/simulation/harness/tile_harness.sv", "energy/coefficients/nangate45-64x64.json"),
    ):
        assert f"adq/{needed}" in names


def test_every_module_of_it_can_be_imported(wheel, project):
    modules = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in zipfile.ZipFile(wheel).namelist()
        if name.endswith(".py") and "/drivers/" not in name and not name.endswith("__main__.py")
    ]
    code = f"import importlib\nfor name in {modules!r}: importlib.import_module(name)"
    run(project / "venv/bin/python", "-c", code, folder=project)


def test_a_digits_network_goes_through_all_commands(project):
    def adq(*arguments: str) -> str:
        return run(project / "venv/bin/adq", *arguments, folder=project)

    before = set(project.iterdir())
    adq("doctor")
    adq("train", "digits", "--out", "runs/digits", "--set", "training.epochs=4")
    adq("export", "runs/digits", "artifact", "--images", "2")
    adq("verify", "artifact")
    adq("map", "artifact", "--tile", "32x32")
    adq("sim", "artifact", "--tile", "32x32", "--images", "1")
    adq("energy", "artifact")
    created = {path.name for path in project.iterdir()} - {path.name for path in before}
    assert created == {"runs", "artifact", "build"}
