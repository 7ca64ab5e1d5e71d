"""Run of a program on the platform in RTL: its results, its cycles, its errors."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adq.golden.platform.interpreter import Interpreter
from adq.golden.platform.planning.timeline import engine_cycles
from adq.golden.platform.program import Program
from adq.rtl.platform.descriptors import Layer
from adq.rtl.platform.parameters import PlatformParameters
from adq.verif.simulation.environment import platform_environment
from adq.verif.simulation.simulator import Build, SimulationError

__all__ = ["PlatformRun", "run_program"]

_PROGRAM, _INPUTS = "program", "inputs"

_PATIENCE = 4
"""Times as many cycles as a program may take at most are waited for."""


@dataclass(frozen=True, kw_only=True)
class PlatformRun:
    """A run of a program on the platform."""

    outputs: np.ndarray
    """uint8: the output memory."""
    cycles: int
    classes: dict[str, int]
    """Cycles by what happened in them; they add up to ``cycles``."""
    read_beats: int
    write_beats: int


def run_program(
    model: Build,
    program: Program,
    memory: bytes,
    inputs: bytes,
    output_bytes: int,
    *,
    directory: Path,
    name: str = "run",
) -> PlatformRun:
    """Run a program's memory on the platform that it was made for.

    Parameters
    ----------
    model
        Platform of :func:`adq.verif.simulation.program_runs.model.build_platform`.
    memory, output_bytes
        The program's, or those of a program made from it.
    inputs
        The input memory.
    directory
        Folder for files and the log.

    Raises
    ------
    SimulationError
        The platform stopped, or the simulation broke off.

    """
    platform = program.platform
    folder = directory / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _PROGRAM).write_bytes(memory)
    (folder / _INPUTS).write_bytes(inputs)
    specification = {
        "name": name,
        "program": f"{name}/{_PROGRAM}",
        "inputs": f"{name}/{_INPUTS}",
        "output_bytes": output_bytes,
        "patience": _patience(memory, inputs, output_bytes, platform),
    }
    _, failures = model.run(
        "adq.verif.simulation.drivers.platform_program",
        directory=folder,
        environment=platform_environment(platform)
        | {"ADQ_FOLDER": str(directory.resolve()), "ADQ_RUN": json.dumps(specification)},
        seed=1,
        timeout=3600,
    )
    if failures:
        raise SimulationError(f"the platform did not run the program; see {folder / 'sim.log'}")
    found = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return PlatformRun(
        outputs=np.frombuffer((folder / "outputs").read_bytes(), np.uint8),
        cycles=found["total"],
        classes=found["classes"],
        read_beats=found["read_beats"],
        write_beats=found["write_beats"],
    )


def _patience(memory: bytes, inputs: bytes, output_bytes: int, platform: PlatformParameters) -> int:
    """Return the cycles after which a program hangs."""
    interpreter = Interpreter(platform, memory, inputs, output_bytes)
    cycles = 10_000
    for turn in interpreter.order():
        descriptor = turn.descriptor
        if isinstance(descriptor, Layer):
            cycles += engine_cycles(descriptor, platform)
            blocks = platform.block_bytes * 8 // platform.bus_bits
            cycles += blocks * descriptor.outputs * descriptor.windows
        else:
            cycles += 2 * descriptor.words << descriptor.images_log
    return _PATIENCE * cycles
