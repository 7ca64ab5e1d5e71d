"""Bench of the performance counters."""

from typing import ClassVar

from adq.rtl.interface import Counter
from adq.verif.cocotb.bench import TILE, Bench

__all__ = ["CountersBench"]


class CountersBench(Bench):
    """Drives events, and compares the counters with its own totals."""

    block = "counters"
    quiet: ClassVar = {"activity": Counter.IDLE.value, "planes_skipped": 0, "job_done": 0}

    def __init__(self, dut):
        super().__init__(dut)
        self.totals = {}

    async def reset(self):
        """Reset every counter. The first cycle after reset is idle and is counted."""
        await super().reset()
        self.totals = dict.fromkeys(Counter, 0) | {Counter.IDLE: 1}

    async def step(self, activity: Counter, *, planes_skipped: int = 0, job_done: bool = False):
        """Run one cycle with the given events, and compare a random counter."""
        address = self.random.choice(list(Counter))
        await self.cycle(
            activity=activity.value,
            planes_skipped=planes_skipped,
            job_done=int(job_done),
            address=address.value,
        )
        assert self.read("data") == self.totals[address] % 2**TILE.counter_bits, address.name
        self.totals[activity] += 1
        self.totals[Counter.PLANES_SKIPPED] += planes_skipped
        self.totals[Counter.JOBS_DONE] += job_done

    async def random_step(self):
        """Run one cycle with random events."""
        await self.step(
            Counter(self.random.randrange(Counter.PLANES_SKIPPED)),
            planes_skipped=self.random.choice(
                (0, self.random.randint(1, TILE.max_activation_bits))
            ),
            job_done=self.random.random() < 0.3,
        )
