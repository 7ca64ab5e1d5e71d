"""The platform with a host in C++: whole programs, without Python in the clock cycles."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adq.golden.platform.checks import UNIT
from adq.golden.platform.program import Program
from adq.rtl.platform.host.register_table import COUNTERS
from adq.rtl.platform.parameters import PlatformParameters
from adq.verif.processes import run_to_end
from adq.verif.simulation.drivers.platform_driver import ADDRESSES, EVENTS, START, RunError
from adq.verif.simulation.program_runs.model import build_platform
from adq.verif.simulation.simulator import SimulationError
from adq.verif.simulation.verilator.main_program import build_main

__all__ = ["CompiledHost", "CompiledRun"]

BASES = {"program": 0x1000_0000, "input": 0x4000_0000, "output": 0x8000_0000}
"""First bytes of the memories."""


@dataclass(frozen=True, eq=False)
class CompiledRun:
    """Results and counters of a program that ran.

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
    threads
        Threads of a simulation. They wait for each other by spinning several times a cycle, so that
        each needs a processor of its own.

    Raises
    ------
    SimulationError
        It did not compile, or there are fewer processors than threads.

    """

    def __init__(self, platform: PlatformParameters, cache: Path, *, threads: int = 1):
        processors = len(os.sched_getaffinity(0))
        if threads > processors:
            raise SimulationError(
                f"{threads} threads need a processor each, and {processors} can be used here: give "
                f"at most {processors}"
            )
        self.platform, self.threads = platform, threads
        self.model = build_platform(platform, cache, threads=threads)
        self.executable = build_main(
            self.model,
            Path(__file__).with_name("host.cpp"),
            [f"BEAT_BYTES={platform.bus_bits // 8}"],
        )

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
            raise SimulationError(f"the platform stopped its program: {RunError.decoded(error)}")
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
        f"write {ADDRESSES['interrupt_enable']:x} {EVENTS:x}",
        f"write {ADDRESSES['control']:x} {START:x}",
        f"wait {patience:x}",
        f"read {ADDRESSES['error']:x}",
    ]
    for name in counted:
        lines += [f"read {ADDRESSES[f'{name}_{half}']:x}" for half in ("low", "high")]
    return "\n".join([*lines, f"save {BASES['output']:x} result", ""])
