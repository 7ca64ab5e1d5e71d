"""Bench of the whole tile: random jobs, their streams, and what they must give."""

import json
import os
from dataclasses import dataclass, field

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

from rtl.interface import Status
from rtl.parameters import TileParameters
from verif import beats
from verif.cocotb.streams import StreamMonitor, StreamSink, StreamSource
from verif.jobs import Job

__all__ = ["Bench", "MalformedJob"]


@dataclass
class MalformedJob:
    """A job that the tile must refuse, and what it must say."""

    beat: bytes
    status: Status


@dataclass
class Bench:
    """Drives and watches every port."""

    dut: object
    seed: int
    idle: float = 0.0
    stall: float = 0.0
    parameters: TileParameters = field(init=False)

    def __post_init__(self):
        self.parameters = TileParameters(**json.loads(os.environ["ADQ_TILE"]))
        self.rng = np.random.default_rng(self.seed)
        self.sources = {
            name: StreamSource(self.dut, name, seed=self.seed, idle=self.idle)
            for name in ("jobs", "weights", "activations")
        }
        self.sink = StreamSink(self.dut, "results", seed=self.seed, stall=self.stall)
        self.tasks = []

    async def start(self):
        """Clock, monitors and reset."""
        cocotb.start_soon(Clock(self.dut.clk, 2, unit="ns").start())
        for name in ("jobs", "weights", "activations", "results"):
            cocotb.start_soon(StreamMonitor(self.dut, name).run())
        self.dut.counter_address.value = 0
        await self.reset()

    async def reset(self):
        """Reset for two cycles; whatever was being sent is dropped."""
        for task in self.tasks:
            task.cancel()
        self.tasks = []
        self.dut.rst.value = 1
        for source in self.sources.values():
            source.valid.value = 0
        self.sink.ready.value = 0
        await ClockCycles(self.dut.clk, 2)
        self.dut.rst.value = 0
        await RisingEdge(self.dut.clk)

    def send(self, jobs: list[Job | MalformedJob], *, only: str = "", hold: str = ""):
        """Begin to send jobs with their operands; ``only`` one stream, or ``hold`` one back."""
        p = self.parameters

        def integers(rows):
            return [int.from_bytes(bytes(row), "little") for row in rows]

        streams = {"jobs": [], "weights": [], "activations": []}
        for job in jobs:
            if isinstance(job, MalformedJob):
                streams["jobs"].append(job.beat)
                continue
            streams["jobs"].append(job.beat(p))
            for weights, activations in zip(job.weights, job.activations, strict=True):
                streams["weights"] += list(beats.weight_beats(p, weights, job.weight_bits))
                streams["activations"] += list(beats.activation_beats(p, activations))
        for name, rows in streams.items():
            if name == hold or (only and name != only):
                continue
            self.tasks.append(cocotb.start_soon(self.sources[name].send(integers(rows))))

    async def take(self, count: int) -> beats.Results:
        """Take results."""
        taken = await self.sink.take(count)
        size = beats.result_bytes(self.parameters)
        rows = [np.frombuffer(beat.to_bytes(size, "little"), np.uint8) for beat in taken]
        return beats.Results(self.parameters, np.array(rows).reshape(count, size))

    async def check(self, jobs: list[Job]):
        """Run jobs; every output of every vector must be the product."""
        self.send(jobs)
        for number, job in enumerate(jobs):
            if isinstance(job, MalformedJob):
                result = await self.take(1)
                assert result.status == [job.status], f"job {number}: {result.status[0]}"
                assert result.last[0], f"job {number}"
                continue
            expected = job.results
            results = await self.take(len(expected))
            outputs = results.outputs(job.weight_bits)
            where = (
                f"job {number}: {job.weight_bits}-bit weights, {job.activation_bits}-bit "
                f"{'signed' if job.signed else 'unsigned'} activations"
            )
            assert (outputs == expected).all(), f"{where}: {outputs} should be {expected}"
            assert list(results.last) == [False] * (len(expected) - 1) + [True], where
            assert all(status == Status.OK for status in results.status), where

    async def counter(self, counter) -> int:
        """Read a performance counter."""
        self.dut.counter_address.value = counter.value
        await RisingEdge(self.dut.clk)
        return int(self.dut.counter_data.value)
