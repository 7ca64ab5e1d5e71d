"""`adq doctor` on machines made up of folders of small scripts."""

import importlib.metadata
import shutil
from collections import namedtuple

import pytest
from typer.testing import CliRunner

from adq import machine
from adq.cli import main

pytestmark = pytest.mark.testpoint(
    reason="Costs, reports and this machine's tools: software above the contracts."
)


@pytest.fixture
def path(tmp_path, monkeypatch):
    """The one folder of PATH, empty."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def put(folder, name, script):
    """A command that is a shell script."""
    command = folder / name
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)


def finding(tool, folder):
    return next(found for found in machine.examine(folder) if found.tool == tool)


@pytest.mark.parametrize(
    ("tool", "command", "script", "said"),
    [
        ("C++ compiler", "c++", None, "no command c++ on PATH"),
        ("C++ compiler", "c++", "echo 'x: error: no c++20' >&2; echo end >&2; exit 1", "no c++20"),
        ("make", "make", None, "no command make on PATH"),
        ("make", "make", "echo bmake 2020", "is not GNU Make but 'bmake 2020'"),
        ("Perl", "perl", 'echo "Can\'t locate Pod/Usage.pm" >&2; exit 2', "Pod/Usage.pm"),
    ],
)
def test_a_tool_that_does_not_work(path, tmp_path, tool, command, script, said):
    if script is not None:
        put(path, command, script)
    found = finding(tool, tmp_path)
    assert not found.works
    assert said in found.found
    assert found.mend == f"sudo apt-get install {command.replace('c++', 'g++')}"


def test_a_program_that_hangs(path, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "PATIENCE", 0.2)
    put(path, "make", "exec /bin/sleep 60")
    assert "gave no answer within 0.2 s" in finding("make", tmp_path).found


@pytest.mark.parametrize("source", [machine.COROUTINE, machine.ZLIB])
def test_this_machine_compiles_the_probes(source):
    assert machine._compile(source, "-std=c++20" if source is machine.COROUTINE else "-lz")


@pytest.mark.parametrize(("version", "works"), [("0.4.5", False), ("0.5", True), ("0.10.1", True)])
def test_versions_are_compared_as_numbers(tmp_path, monkeypatch, version, works):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    assert finding("Amaranth", tmp_path).works is works


def test_build_folders(tmp_path, monkeypatch):
    assert finding("build folder", tmp_path / "build" / "models").works
    assert not list(tmp_path.iterdir())
    assert "with a space" in finding("build folder", tmp_path / "my build").found
    (tmp_path / "file").touch()
    assert "cannot write in" in finding("build folder", tmp_path / "file" / "build").found
    usage = namedtuple("usage", "total used free")(10**12, 0, 3 * 10**8)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    assert "0.3 GB free" in finding("build folder", tmp_path).found


def test_the_command_names_each_remedy(path):
    told = CliRunner().invoke(main, ["doctor"])
    assert told.exit_code == 2
    line = "make does not work: no command make on PATH; mend it with: sudo apt-get install make"
    assert line in told.stderr.splitlines()


def test_optional_tools_do_not_count(monkeypatch):
    torch = machine.Finding("torch", False, "[/red]", "pip install torch", optional=True)
    monkeypatch.setattr(machine, "examine", lambda folder: [torch])
    told = CliRunner().invoke(main, ["doctor"])
    assert (told.exit_code, told.stderr) == (0, "")
    assert "[/red]" in told.stdout
