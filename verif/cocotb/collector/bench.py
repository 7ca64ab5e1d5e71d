"""Bench of the collector."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rtl.interface import Status
from rtl.shift_add.segments import sums_layout
from verif import beats
from verif.cocotb.bench import TILE, Bench, pack
from verif.cocotb.plans import JobPlan, tag_beat
from verif.cocotb.streams import BACK_PRESSURES

__all__ = ["CollectorBench", "Stage"]


@dataclass
class Stage:
    """A plane in the pipeline: its tag, with the sums of each output where it ends a vector, and
    the result that it must give, if any.
    """

    tag: dict[str, int]
    weight_bits: int = 0
    sums: list[int] | None = None
    result: list[int] | None = None


class CollectorBench(Bench):
    """Acts as the pipeline in front of the collector, and takes its results."""

    block = "collector"
    streams = ("results",)
    quiet: ClassVar = {"advance": 1, "entering": 0, "tag": 0, "results__ready": 0}

    def __init__(self, dut, *, idle: str = "never", stall: str = "never"):
        super().__init__(dut)
        self.no_plane = BACK_PRESSURES[idle](self.random)
        self.pause = BACK_PRESSURES[stall](self.random)

    def stages(self, job: JobPlan, *, extreme: bool = False) -> list[Stage]:
        """Planes of a job, with random or extreme sums."""
        if job.status != Status.OK:
            return [Stage(tag) for tag in job.tags()]
        most = 2 ** (job.weight_bits - 1) * TILE.rows * (2**job.activation_bits - 1)
        outputs = TILE.outputs(job.weight_bits)
        totals = [[0] * outputs for _ in range(job.vectors)]
        stages, vector = [], 0
        for tag in job.tags():
            stage = Stage(tag, job.weight_bits)
            if tag["last"]:
                stage.sums = [
                    -most if extreme else self.random.randint(-most, most - 1)
                    for _ in range(outputs)
                ]
                totals[vector] = [t + s for t, s in zip(totals[vector], stage.sums, strict=True)]
                if tag["last_block"]:
                    stage.result = totals[vector]
                vector = (vector + 1) % job.vectors
            stages.append(stage)
        return stages

    def sums_beat(self, stage: Stage | None) -> int:
        """Sums as the accumulators give them: noise in what the job does not use."""
        layout = sums_layout(TILE, TILE.vector_width)
        values = {name: self.random.getrandbits(60) for name, _ in layout}
        if stage and stage.sums:
            bits = TILE.segment * stage.tag["segments"]  # above them an accumulator is not clocked
            for output, total in enumerate(stage.sums):
                lane = str(output * stage.weight_bits // 2)
                values[lane] = (values[lane] >> bits << bits) | (total & (2**bits - 1))
        return pack(layout, values)

    async def check(self, stages: list[Stage], *, cycles: int | None = None):
        """Send planes through the pipeline; every result must come in the cycle after its sums, and
        wait there until it is taken. With ``cycles``, stop after so many.
        """
        waiting = list(stages)
        entering = summed = result = None
        cycle = 0
        while waiting or entering or summed or result:
            if cycle == cycles:
                return
            ready = not self.pause(result is not None)
            advance = result is None or ready
            await self.cycle(
                advance=int(advance),
                results__ready=int(ready),
                entering=tag_beat(self.random, entering and entering.tag),
                tag=tag_beat(self.random, summed and summed.tag),
                sums=self.sums_beat(summed),
            )
            assert self.read("results__valid") == (result is not None)
            if result:
                self.compare(result)
            if advance:
                ends = summed and summed.tag["last"] and summed.tag["last_block"]
                result = summed if ends else None
                summed = entering
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
