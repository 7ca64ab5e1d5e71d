"""The platform with a host in C++: whole programs, without Python in the clock cycles."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adq.golden.files.directory import scratch_directory
from adq.golden.platform.program import Program
from adq.rtl.platform.host.register_table import COUNTERS, REGISTERS, ErrorCode
from adq.rtl.platform.parameters import PlatformParameters
from adq.verif.processes import run_to_end
from adq.verif.simulation.program_runs.model import build_platform
from adq.verif.simulation.simulator import Build, SimulationError, verilator_folder

__all__ = ["CompiledHost", "CompiledRun"]

ADDRESSES = {each.name: each.address for each in REGISTERS}

BASES = {"program": 0x1000_0000, "input": 0x4000_0000, "output": 0x8000_0000}
"""First bytes of the memories."""

UNIT = 16
"""Bytes of the unit in which sizes of memories are given."""


@dataclass(frozen=True, eq=False)
class CompiledRun:
    """What a program left behind.

    Attributes
    ----------
    outputs : uint8, the output memory
    counters : cycles by what was done in them, and ``cycles``, all of them
    """

    outputs: np.ndarray
    counters: Mapping[str, int]


class CompiledHost:
    """A compiled platform with a host in C++.

    Parameters
    ----------
    platform
        Sizes of the platform.
    cache
        Folder of compiled models.

    Raises
    ------
    SimulationError
        It did not compile.

    """

    def __init__(self, platform: PlatformParameters, cache: Path):
        self.platform = platform
        self.model = build_platform(platform, cache)
        self.executable = _executable(self.model, platform.bus_bits // 8)

    def run(
        self,
        program: Program,
        inputs: bytes,
        directory: Path,
        *,
        patience: int,
        latency: int = 1,
    ) -> CompiledRun:
        """Run a program, with its files in ``directory``.

        Parameters
        ----------
        inputs
            The input memory.
        patience
            Cycles after which the platform is taken to hang.
        latency
            Cycles from the address of a read to its first beat.

        Raises
        ------
        SimulationError
            The platform stopped the program, or hangs.

        """
        directory.mkdir(parents=True, exist_ok=True)
        sizes = {
            "program": len(program.memory), "input": len(inputs), "output": program.output_bytes
        }  # fmt: skip
        (directory / "program").write_bytes(program.memory)
        (directory / "input").write_bytes(inputs)
        (directory / "output").write_bytes(b"")
        counted = ["cycles", *COUNTERS, "read_beats", "write_beats"]
        script = _script(sizes, counted, patience)
        (directory / "script").write_text(script, encoding="utf-8")
        ran = run_to_end([self.executable.resolve(), latency, "script"], directory=directory)
        if ran.returncode:
            problem = ran.stderr.strip() or f"exit status {ran.returncode}"
            raise SimulationError(f"the platform did not end its program: {problem}")
        error, *halves = map(int, ran.stdout.split())
        if error:
            code = ErrorCode(error & 0xFF)
            raise SimulationError(
                f"the platform stopped its program: {code.name}, descriptor {error >> 16}, "
                f"field {error >> 8 & 0xFF}"
            )
        values = (low | high << 32 for low, high in zip(halves[::2], halves[1::2], strict=True))
        outputs = np.fromfile(directory / "result", dtype=np.uint8)
        return CompiledRun(outputs, dict(zip(counted, values, strict=True)))


def _script(sizes: Mapping[str, int], counted: Sequence[str], patience: int) -> str:
    """Return what the host does: memories, registers, start, interrupt, counters."""
    lines = []
    for name, base in BASES.items():
        units = -(-sizes[name] // UNIT)
        lines += [
            f"memory {base:x} {units * UNIT:x} {name}",
            f"write {ADDRESSES[f'{name}_base_low']:x} {base:x}",
            f"write {ADDRESSES[f'{name}_base_high']:x} 0",
            f"write {ADDRESSES[f'{name}_size']:x} {units:x}",
        ]
    lines += [
        f"write {ADDRESSES['interrupt_enable']:x} 3",
        f"write {ADDRESSES['control']:x} 1",
        f"wait {patience:x}",
        f"read {ADDRESSES['error']:x}",
    ]
    for name in counted:
        lines += [f"read {ADDRESSES[f'{name}_{half}']:x}" for half in ("low", "high")]
    return "\n".join([*lines, f"save {BASES['output']:x} result", ""])


def _executable(model: Build, beat_bytes: int) -> Path:
    """Return the host's program, which is compiled once for a model."""
    source = Path(__file__).with_name("host.cpp")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    program = model.directory / f"host-{digest}"
    if program.exists():
        return program
    include = verilator_folder().parent / "include"
    objects = sorted(model.directory.glob("verilated*.o"))
    with scratch_directory(model.directory, program.name) as scratch:
        command: list[str | Path | int] = [
            *("c++", "-O2", "-std=c++20", "-fcoroutines", "-DVM_TIMING=1", "-DVM_TRACE=0"),
            f"-DBEAT_BYTES={beat_bytes}",
            *(f"-I{folder}" for folder in (model.directory, include, include / "vltstd")),
            source,
            *objects,
            model.directory / "Vtop__ALL.a",
            *("-pthread", "-latomic", "-o"),
            scratch / program.name,
        ]
        compiled = run_to_end(command)
        if compiled.returncode:
            reason = (compiled.stderr.strip() or "no reason given").splitlines()[0]
            raise SimulationError(f"{source.name} did not compile: {reason}")
        (scratch / program.name).rename(program)
    return program
