"""Trace of a program: every word that a layer writes leaves by the bus, and is compared."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from adq.golden.platform.checks import UNIT
from adq.golden.platform.interpreter import Interpreter
from adq.golden.platform.planning.layout import row_words
from adq.golden.platform.program import Program
from adq.rtl.platform.descriptors import (
    DESCRIPTOR_BYTES,
    Descriptor,
    Layer,
    Mode,
    Store,
    unpack,
)
from adq.verif.simulation.program_runs.run import run_program
from adq.verif.simulation.simulator import Build

__all__ = ["TracedLayer", "compare_layers", "traced"]


@dataclass(frozen=True, kw_only=True)
class TracedLayer:
    """Words that a layer wrote in all passes."""

    index: int
    """Place of the layer in the program."""
    words: int
    differing: int
    """Words that are not the interpreter's."""


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
    model: Build, program: Program, inputs: bytes, *, directory: Path
) -> Iterator[TracedLayer]:
    """Run a program that stores what each layer writes, and compare it with the interpreter.

    Raises
    ------
    SimulationError
        As :func:`adq.verif.simulation.program_runs.run.run_program`.

    """
    memory, size, stores = traced(program)
    found = run_program(model, program, memory, inputs, size, directory=directory, name="traced")
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
