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
    """A plane in the pipeline: its tag and number, what its total tells of the sum of each output,
    and the result that it must give, if any.
    """

    tag: dict[str, int]
    weight_bits: int = 0
    index: int = 0
    totals: list[int] | None = None
    """The lowest bit of each where it is not the last plane of its vector, the total where it is.
    """
    result: list[int] | None = None


class CollectorBench(Bench):
    """Acts as the pipeline in front of the collector, and takes its results."""

    block = "collector"
    streams = ("results",)
    quiet: ClassVar = {"advance": 1, "tag": 0, "results__ready": 0}

    def __init__(self, dut, *, idle: str = "never", stall: str = "never"):
        super().__init__(dut)
        self.no_plane = BACK_PRESSURES[idle](self.random)
        self.pause = BACK_PRESSURES[stall](self.random)

    def lowest_sum(self, weight_bits: int, planes: int) -> int:
        """Of a vector of unsigned activations, which is as far from zero as any can be."""
        return -(2 ** (weight_bits - 1)) * TILE.rows * (2**planes - 1)

    def random_sum(self, weight_bits: int, planes: int) -> int:
        """A sum that a vector can have."""
        lowest = self.lowest_sum(weight_bits, planes)
        return self.random.randint(lowest, -lowest - 1)

    def stages(self, job: JobPlan, sum_of: Callable[[int, int], int] | None = None) -> list[Stage]:
        """Planes of a job, with sums by weight bits and planes; random ones where not said."""
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
        """A plane as it comes: noise in what the job does not use."""
        layout = totals_layout(TILE)
        values = {name: self.random.getrandbits(60) for name, _ in layout}
        index = self.noise("index")
        if stage and stage.totals:
            index = stage.index
            # Below the last plane nothing but the lowest bit counts.
            bits = TILE.total_width(stage.weight_bits) if stage.tag["last"] else 1
            for output, total in enumerate(stage.totals):
                lane = str(output * stage.weight_bits // 2)
                values[lane] = (values[lane] >> bits << bits) | (total & (2**bits - 1))
        tag = tag_beat(self.random, stage and stage.tag)
        return {"tag": tag, "index": index, "totals": pack(layout, values)}

    async def check(self, stages: list[Stage], *, cycles: int | None = None):
        """Send planes through the pipeline; every result must come in the cycle after its last
        plane, and wait there until it is taken, whatever stands at the input. With ``cycles``, stop
        after so many.
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
        """Compare the result that is offered."""
        payload = self.read("results__payload").to_bytes(beats.result_bytes(TILE), "little")
        result = beats.Results(TILE, np.frombuffer(payload, np.uint8)[None])
        assert result.status[0].value == stage.tag["status"]
        assert result.last[0] == (stage.result is None or stage.tag["last_vector"])
        if stage.result is not None:
            found = list(result.outputs(stage.weight_bits)[0])
            assert found == stage.result, f"{found} should be {stage.result}"
