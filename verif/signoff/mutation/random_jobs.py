"""Simulations of a circuit under random jobs, many side by side."""

import random
from collections.abc import Iterable, Sequence
from functools import reduce

from adq.rtl.interface import job_layout
from adq.rtl.parameters import TileParameters
from adq.verif.signoff.mutation.aiger import Aig

__all__ = ["EVERYWHERE", "RandomJobs", "at_first", "value"]

LANES = 256
"""Simulations at a time."""

CYCLES = 160

ALL = (1 << LANES) - 1

EVERYWHERE = (1 << LANES * CYCLES) - 1
"""Of a trace that is always high."""


def stimuli(parameters: TileParameters, inputs: Sequence[str]) -> list[dict[str, int]]:
    """Of every cycle, the inputs in all lanes: jobs that are mostly well formed and short, and
    streams that mostly go on.
    """
    rng = random.Random(1)
    layout = job_layout(parameters)
    fields = {name: (field.offset, field.width) for name, field in layout}
    cycles = []
    for _ in range(CYCLES):
        words = {name: rng.getrandbits(LANES) for name in inputs}
        for name in ("jobs", "weights", "activations"):
            words[f"{name}__valid"] |= rng.getrandbits(LANES)
        words["results__ready"] |= rng.getrandbits(LANES)
        words["rst"] = reduce(lambda a, _: a & rng.getrandbits(LANES), range(6), words["rst"])
        jobs = []
        for _ in range(LANES):
            job = {
                "weight_bits": rng.choice(parameters.weight_widths),
                "activation_bits": rng.choice((1, 2, 3, 4, rng.randint(1, 16))),
                "signed": rng.getrandbits(1),
                "vectors": rng.randint(1, min(2, parameters.vectors)),
                "row_blocks": rng.randint(1, min(2, parameters.row_blocks)),
            }
            if rng.random() < 0.3:
                wrong = rng.choice([name for name in job if name != "signed"])
                job[wrong] = rng.getrandbits(fields[wrong][1])
            jobs.append(sum(value << fields[name][0] for name, value in job.items()))
        for bit in range(layout.size):
            word = sum((job >> bit & 1) << lane for lane, job in enumerate(jobs))
            words[f"jobs__payload[{bit}]"] = word
        cycles.append(words)
    return cycles


class RandomJobs:
    """The same inputs for all circuits of a tile."""

    def __init__(self, parameters: TileParameters, inputs: Sequence[str]):
        self.cycles = stimuli(parameters, inputs)

    def traces(self, circuit: Aig, output: str) -> tuple[list[int], int]:
        """What each latch holds in all cycles, lanes side by side; or nothing, and the cycle in
        which an output is high, if it ever is.
        """
        first, last = circuit.first_latch, circuit.first_and
        values, states = [0] * last, []
        for cycle, words in enumerate(self.cycles, 1):
            values[1:first] = [words[name] for name in circuit.inputs]
            states.append(values[first:last])
            values = _values(circuit, values)
            if value(circuit.outputs[output], values):
                return [], cycle
            values[first:last] = [value(next_, values) for next_, _ in circuit.latches]
            del values[last:]
        return [_joined(words) for words in zip(*states, strict=True)], 0


def at_first(circuit: Aig, output: str) -> bool:
    """Whether an output that follows from registers alone is high before the first cycle."""
    return value(circuit.outputs[output], _values(circuit, [0] * circuit.first_and)) == ALL


def value(literal: int, values: list[int], ones: int = ALL) -> int:
    """Of a literal, from those of all variables."""
    return values[literal >> 1] ^ ones if literal & 1 else values[literal >> 1]


def _values(circuit: Aig, given: list[int]) -> list[int]:
    """Of all variables, from those of inputs and latches."""
    values = list(given)
    for left, right in circuit.ands:
        a = values[left >> 1] ^ ALL if left & 1 else values[left >> 1]
        b = values[right >> 1] ^ ALL if right & 1 else values[right >> 1]
        values.append(a & b)
    return values


def _joined(words: Iterable[int]) -> int:
    """Words of all lanes, cycle by cycle, as one number."""
    return int.from_bytes(b"".join(word.to_bytes(LANES // 8, "little") for word in words), "little")
