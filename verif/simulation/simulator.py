"""Verilator under cocotb: builds cached by content, runs in directories of their own."""

import contextlib
import hashlib
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from cocotb_tools.check_results import get_results

from adq.golden.files.directory import scratch_directory
from adq.golden.files.locks import waiting
from adq.verif.processes import Processes, StoppedError
from adq.verif.simulation.verilator.runner import (
    LZ4,
    MAKE_VARIABLES,
    SimulationError,
    VerilatorRunner,
    optimization,
    tool_versions,
    verilator_folder,
)

__all__ = ["Build", "SimulationError", "build", "model_directory", "waived"]


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
        runner = VerilatorRunner(processes or Processes(), timeout)
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
        *tool_versions(),
        top,
        _control(top, ports),
        *(f"{name}\n{text}" for name, text in sorted(sources.items())),
        *(f"{name}={value}" for name, value in sorted((parameters or {}).items())),
        *_arguments(arguments, fst),
        *(["waves"] if waves else []),
        MAKE_VARIABLES,
        optimization(long_runs),
        *WAIVED,
    ):
        digest.update(part.encode() + b"\0")
    return cache / f"{top}-{digest.hexdigest()[:16]}"


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
            runner = VerilatorRunner(processes, optimization=optimization(long_runs))
            _compile(runner, directory, ports, sources, parameters, arguments, waves, fst)
    return Build(directory, top)


def _compile(
    runner: VerilatorRunner,
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
