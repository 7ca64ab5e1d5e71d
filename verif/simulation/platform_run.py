"""Runs a network's program on the platform in RTL: from one start to one interrupt.

Two runs compare everything. One is of the program as it is: its results, its cycles. In the other a
``Store`` stands behind each layer, so that every word that a layer writes leaves by the bus.
"""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adq.golden.platform.checks import UNIT
from adq.golden.platform.interpreter import Interpreter
from adq.golden.platform.layout import row_words
from adq.golden.platform.program import Program
from adq.golden.platform.timeline import engine_cycles
from adq.rtl.platform.descriptors import (
    DESCRIPTOR_BYTES,
    Descriptor,
    Layer,
    Mode,
    Store,
    unpack,
)
from adq.rtl.platform.parameters import PlatformParameters
from adq.verif.simulation.platform_model import build_platform, environment_of
from adq.verif.simulation.simulator import SimulationError

__all__ = ["PlatformRun", "TracedLayer", "compare_layers", "run_program", "traced"]

_PROGRAM, _INPUTS = "program", "inputs"

_PATIENCE = 4
"""Times as many cycles as the timeline has are waited for."""


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


@dataclass(frozen=True, kw_only=True)
class TracedLayer:
    """Words that a layer wrote in all passes."""

    index: int
    """Place of the layer in the program."""
    words: int
    differing: int
    """Words that are not the interpreter's."""


def run_program(
    program: Program,
    memory: bytes,
    inputs: bytes,
    output_bytes: int,
    *,
    directory: Path,
    cache: Path,
    name: str = "run",
) -> PlatformRun:
    """Run a program's memory on the platform that it was made for.

    Parameters
    ----------
    memory, output_bytes
        The program's, or those of a program made from it.
    inputs
        The input memory.
    directory
        Folder for files and the log.
    cache
        Folder of compiled models.

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
    _, failures = build_platform(platform, cache).run(
        "adq.verif.simulation.drivers.platform_program",
        directory=folder,
        environment=environment_of(platform)
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


def traced(program: Program) -> tuple[bytes, int, dict[int, int]]:
    """Return a program that also stores what each layer writes into the plane memory.

    Returns its memory, the bytes of its output memory, and the place of each ``Store`` by the place
    of its layer in the program given. Layers in mode ``RAW`` write to the output memory anyway.
    """
    descriptors: list[Descriptor] = []
    stores: dict[int, int] = {}
    shift = 0  # bytes by which parameters and weights move
    kinds = [program.descriptor(index) for index in range(program.descriptors)]
    for each in kinds:
        shift += DESCRIPTOR_BYTES * (isinstance(each, Layer) and each.mode != Mode.RAW)
    size = -(-program.output_bytes // UNIT) * UNIT
    for index, each in enumerate(kinds):
        if isinstance(each, Layer):
            descriptors.append(
                dataclasses.replace(
                    each,
                    weights=each.weights + shift // UNIT,
                    parameters=each.parameters + shift // UNIT,
                )
            )
            if each.mode == Mode.RAW:
                continue
            stores[index] = len(descriptors)
            height, width = each.pooled
            row = row_words(width, each.target_pitch, program.platform.rows)
            words = height * each.target_planes * row
            descriptors.append(
                Store(
                    images_log=each.images_log,
                    slots_log=each.target_slots_log,
                    words=words,
                    address=each.target,
                    memory=size // UNIT,
                )
            )
            needed = program.images * words * program.platform.rows // 8
            size += -(-needed // UNIT) * UNIT
        else:
            descriptors.append(each)
    blob = program.memory[program.descriptors * DESCRIPTOR_BYTES :]
    return b"".join(each.pack() for each in descriptors) + blob, size, stores


def compare_layers(
    program: Program, inputs: bytes, *, directory: Path, cache: Path
) -> Iterator[TracedLayer]:
    """Run a program that stores what each layer writes, and compare it with the interpreter.

    Raises
    ------
    SimulationError
        As :func:`run_program`.

    """
    memory, size, stores = traced(program)
    found = run_program(
        program, memory, inputs, size, directory=directory, cache=cache, name="traced"
    )
    interpreter = Interpreter(program.platform, memory, inputs, size)
    for _ in interpreter.run():
        pass
    word = program.platform.rows // 8
    for index, place in stores.items():
        first = DESCRIPTOR_BYTES * place
        store = unpack(memory[first : first + DESCRIPTOR_BYTES], place)
        assert isinstance(store, Store)
        count = program.images * store.words
        region = slice(store.memory * UNIT, store.memory * UNIT + count * word)
        pairs = [
            memory_[region].reshape(count, word) for memory_ in (found.outputs, interpreter.outputs)
        ]
        differing = int((pairs[0] != pairs[1]).any(axis=1).sum())
        yield TracedLayer(index=index, words=count, differing=differing)
