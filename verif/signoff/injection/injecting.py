"""cocotb test that flips bits of a running tile and classifies the effects.

A workload is a few jobs. It first runs without a fault, which must show no sign and measures the
length of the run. It then runs once for each fault, starting from reset.
"""

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge

from adq.rtl.interface import Counter, Status
from adq.verif.cocotb.bench import TILE
from adq.verif.cocotb.streams import BACK_PRESSURES, IDLES, PERIOD, StreamMonitor, now
from adq.verif.cocotb.tile.bench import TileBench
from adq.verif.operands import beats
from adq.verif.operands.jobs import Job, random_job

WORKLOADS = json.loads(Path(os.environ["ADQ_BATCH"]).read_text())
"""Workloads, each with a ``seed`` and its ``faults``. A fault has a ``number``, the input values
``select`` and ``flip`` that flip its bit, and its ``moment`` as a fraction of the run, 0 to 1."""

PATIENCE = 500
"""Number of cycles without a beat on any stream after which the watchdog reports a hang."""

QUIET_AFTER = 10
"""Number of cycles after the last result in which no further result may arrive."""

EXCLUSIVE = [counter for counter in Counter if counter < Counter.PLANES_SKIPPED]


class InjectionBench(TileBench):
    """Bench of a tile whose monitors watch the wires that can flip."""

    quiet: ClassVar = {"counter_address": 0, "mutant": 0, "flip": 0}

    def __init__(self, dut, **patterns):
        super().__init__(dut, **patterns)
        self.monitors = {name: StreamMonitor(dut, f"watched_{name}") for name in self.streams}
        self.signs = set()

    def watch_rules(self):
        """Start a monitor on each stream. A violated stream rule becomes a sign."""
        for monitor in self.monitors.values():
            self.start_soon(self._watch_rules(monitor))

    async def _watch_rules(self, monitor: StreamMonitor):
        try:
            await monitor.run()
        except AssertionError:
            self.signs.add("stream rule")

    def end(self):
        """Stop all coroutines of the bench."""
        for task in self.tasks:
            task.cancel()
        self.tasks = []

    async def wait(self, beats_expected: int, each_cycle: Callable[[int], None]) -> int:
        """Wait until the jobs end or the watchdog expires, and return the number of cycles.

        ``each_cycle`` is called with the cycle number at each rising edge.
        """
        sink, quiet, moved, cycles = self.sinks["results"], 0, -1, 0
        left = QUIET_AFTER
        while left:
            # Flip at the edge, so that all readers see the same value during the whole cycle.
            await RisingEdge(self.dut.clk)
            each_cycle(cycles)
            await FallingEdge(self.dut.clk)
            cycles += 1
            taken = sum(len(monitor.taken) for monitor in self.monitors.values())
            quiet, moved = (quiet + 1, moved) if taken == moved else (0, taken)
            if len(sink.beats) >= beats_expected:
                left -= 1
            elif quiet == PATIENCE:
                self.signs.add("hang")
                break
        return cycles


def workload_jobs(rng: np.random.Generator) -> list[Job]:
    """Return three random jobs of any weight width, with up to three row blocks."""
    most = min(TILE.partial_sums or TILE.vectors, TILE.vectors, 3)
    return [
        random_job(
            TILE,
            rng,
            weight_bits=int(rng.choice(TILE.weight_widths)),
            activation_bits=int(rng.integers(1, 9)),
            signed=bool(rng.integers(2)),
            vectors=int(rng.integers(1, most + 1)),
            row_blocks=int(rng.integers(1, min(TILE.row_blocks, 3) + 1)),
        )
        for _ in range(3)
    ]


async def run(dut, workload: dict, fault: dict | None, length: int) -> tuple[str, list[str], int]:
    """Run a workload, and return its outcome, the signs seen and the number of cycles."""
    random.seed(workload["seed"])
    jobs = workload_jobs(np.random.default_rng(workload["seed"]))
    idle, stall = random.choice(list(IDLES)), random.choice(list(BACK_PRESSURES))
    bench = InjectionBench(dut, idle=idle, stall=stall)
    await bench.reset()
    began = now()
    bench.watch_rules()
    bench.send(jobs)
    moment = int(fault["moment"] * length) if fault else None

    def flip(cycle: int):
        if moment is not None:
            active = cycle == moment
            bench.drive(mutant=active * fault["select"], flip=active * fault["flip"])

    expected = sum(job.activations.shape[1] for job in jobs)
    cycles = await bench.wait(expected, flip)
    taken = bench.sinks["results"].beats
    right = check_results(bench, jobs, taken)
    await check_counters(bench, jobs, began)
    bench.end()
    if bench.signs:
        return "detected", sorted(bench.signs), cycles
    return ("masked" if right else "silent"), [], cycles


def check_results(bench: InjectionBench, jobs: list[Job], taken: list[int]) -> bool:
    """Return True if every output is correct. A wrong status or ``last`` flag becomes a sign."""
    size = beats.result_bytes(TILE)
    octets = [np.frombuffer(beat.to_bytes(size, "little"), np.uint8) for beat in taken]
    marks = [mark for job in jobs for mark in [False] * (job.activations.shape[1] - 1) + [True]]
    if not octets:
        return False
    results = beats.Results(TILE, np.array(octets))
    if any(status is not Status.OK for status in results.status):
        bench.signs.add("status")
    if list(results.last) != marks[: len(octets)] or len(octets) > len(marks):
        bench.signs.add("marks")
    if len(octets) != len(marks):
        return False
    place, right = 0, True
    for job in jobs:
        count = job.activations.shape[1]
        outputs = results.outputs(job.weight_bits)[place : place + count]
        right &= bool((outputs == job.results).all())
        place += count
    return right


async def check_counters(bench: InjectionBench, jobs: list[Job], began: int):
    """Compare the performance counters with the jobs. A difference becomes a sign."""
    values = {counter: await bench.counter(counter) for counter in Counter}
    idle = await bench.counter(Counter.IDLE)
    elapsed = now() - began
    total = sum(values[counter] for counter in EXCLUSIVE if counter is not Counter.IDLE) + idle
    running = sum(TILE.block_cycles(job.planes()) for job in jobs)
    most = 2**TILE.counter_bits
    told = (total % most, values[Counter.RUNNING], values[Counter.JOBS_DONE])
    if told != (elapsed % most, running % most, len(jobs)):
        bench.signs.add("counters")


@cocotb.test()
async def inject(dut):
    """Run every fault of every workload, and append each outcome to ``outcomes.jsonl``."""
    cocotb.start_soon(Clock(dut.clk, PERIOD, unit="ns").start())
    for workload in WORKLOADS:
        outcome, signs, length = await run(dut, workload, None, 0)
        assert outcome == "masked", f"without a fault: {outcome} {signs}"
        for fault in workload["faults"]:
            if Path("stop").exists():
                return
            outcome, signs, _ = await run(dut, workload, fault, length)
            with Path("outcomes.jsonl").open("a") as file:
                line = {"number": fault["number"], "outcome": outcome, "signs": signs}
                file.write(json.dumps(line) + "\n")
