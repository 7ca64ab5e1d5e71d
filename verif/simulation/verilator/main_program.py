"""Programs with a C++ ``main()`` around a compiled model, in place of cocotb."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from adq.golden.files.directory import scratch_directory
from adq.verif.processes import run_to_end
from adq.verif.simulation.simulator import Build, SimulationError
from adq.verif.simulation.verilator.runner import verilator_folder

__all__ = ["build_main"]


def build_main(model: Build, source: Path, defines: Sequence[str] = ()) -> Path:
    """Build a program from a source and the objects that cocotb runs of the model use.

    It is compiled once for a model and a text of the source.

    Parameters
    ----------
    defines
        Macros of the compiler, such as ``WIDTH=16``, which follow from the model.

    Raises
    ------
    SimulationError
        It did not compile.

    """
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    program = model.directory / f"{source.stem}-{digest}"
    if program.exists():
        return program
    include = verilator_folder().parent / "include"
    objects = sorted(model.directory.glob("verilated*.o"))
    with scratch_directory(model.directory, program.name) as scratch:
        command: list[str | Path | int] = [
            *("c++", "-O2", "-std=c++20", "-fcoroutines", "-DVM_TIMING=1", "-DVM_TRACE=0"),
            *(f"-D{define}" for define in defines),
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
