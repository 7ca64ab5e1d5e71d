"""Bench of the collector."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from adq.rtl.interface import Status
from adq.rtl.shift_add.result_register import totals_layout
from adq.verif.cocotb.bench import TILE, Bench, pack
from adq.verif.cocotb.plans import JobPlan, tag_beat
from adq.verif.cocotb.streams import BACK_PRESSURES
from adq.verif.operands import beats

__all__ = ["CollectorBench", "Stage"]


@dataclass
class Stage:
    """A plane in the pipeline, with its tag, index, totals and expected result, if any."""

    tag: dict[str, int]
    weight_bits: int = 0
    index: int = 0
    totals: list[int] | None = None
    """Total of each output for the last plane of a vector, else only its lowest bit."""
    result: list[int] | None = None


class CollectorBench(Bench):
    """Drives the collector in place of the pipeline before it, and takes its results."""

    block = "collector"
    streams = ("results",)
    quiet: ClassVar = {"advance": 1, "tag": 0, "results__ready": 0}

    def __init__(self, dut, *, idle: str = "never", stall: str = "never"):
        super().__init__(dut)
        self.no_plane = BACK_PRESSURES[idle](self.random)
        self.pause = BACK_PRESSURES[stall](self.random)

    def lowest_sum(self, weight_bits: int, planes: int) -> int:
        """Return the lowest sum of a vector of unsigned activations, the largest in magnitude."""
        return -(2 ** (weight_bits - 1)) * TILE.rows * (2**planes - 1)

    def random_sum(self, weight_bits: int, planes: int) -> int:
        """Return a random sum that a vector can have."""
        lowest = self.lowest_sum(weight_bits, planes)
        return self.random.randint(lowest, -lowest - 1)

    def stages(self, job: JobPlan, sum_of: Callable[[int, int], int] | None = None) -> list[Stage]:
        """Return the planes of a job.

        ``sum_of`` maps weight bits and number of planes to a sum. Default: ``random_sum``.
        """
        if job.status != Status.OK:
            return [Stage(tag) for tag in job.tags()]
        sum_of = sum_of or self.random_sum
        results = [[0] * TILE.outputs(job.weight_bits) for _ in range(job.vectors)]
        tags, stages = job.tags(), []
        for block in job.planes:
            for vector, planes in enumerate(block):
                sums = [sum_of(job.weight_bits, len(planes)) for _ in results[vector]]
                results[vector] = [r + s for r, s in zip(results[vector], sums, strict=True)]
                for index in planes:
                    left = [s >> index for s in sums]
                    last = index == planes[-1]
                    totals = left if last else [total & 1 for total in left]
                    stages.append(Stage(next(tags), job.weight_bits, index, totals))
                if stages[-1].tag["last_block"]:
                    stages[-1].result = results[vector]
        return stages

    def inputs(self, stage: Stage | None) -> dict[str, int]:
        """Return the inputs for a plane, with random values in unused bits."""
        layout = totals_layout(TILE)
        values = {name: self.random.getrandbits(60) for name, _ in layout}
        index = self.noise("index")
        if stage and stage.totals:
            index = stage.index
            # Before the last plane only the lowest bit is used.
            bits = TILE.total_width(stage.weight_bits) if stage.tag["last"] else 1
            for output, total in enumerate(stage.totals):
                lane = str(output * stage.weight_bits // 2)
                values[lane] = (values[lane] >> bits << bits) | (total & (2**bits - 1))
        tag = tag_beat(self.random, stage and stage.tag)
        return {"tag": tag, "index": index, "totals": pack(layout, values)}

    async def check(self, stages: list[Stage], *, cycles: int | None = None):
        """Send planes and compare the results.

        Every result must be offered in the cycle after its last plane, and be stable until it is
        taken, for any inputs. If ``cycles`` is given, the check stops after that many cycles.
        """
        waiting = list(stages)
        entering = result = None
        cycle = 0
        while waiting or entering or result:
            if cycle == cycles:
                return
            ready = not self.pause(result is not None)
            advance = result is None or ready
            await self.cycle(
                advance=int(advance), results__ready=int(ready), **self.inputs(entering)
            )
            assert self.read("results__valid") == (result is not None)
            if result:
                self.compare(result)
            if advance:
                ends = entering and entering.tag["last"] and entering.tag["last_block"]
                result = entering if ends else None
                entering = waiting.pop(0) if waiting and not self.no_plane(True) else None
            cycle += 1

    def compare(self, stage: Stage):
        """Compare the offered result."""
        payload = self.read("results__payload").to_bytes(beats.result_bytes(TILE), "little")
        result = beats.Results(TILE, np.frombuffer(payload, np.uint8)[None])
        assert result.status[0].value == stage.tag["status"]
        assert result.last[0] == (stage.result is None or stage.tag["last_vector"])
        if stage.result is not None:
            found = list(result.outputs(stage.weight_bits)[0])
            assert found == stage.result, f"{found} should be {stage.result}"
