"""Bench of maximum pooling."""

from typing import ClassVar

from adq.rtl.platform.results.maximum import pixel_layout
from adq.verif.cocotb.bench import Bench, pack

__all__ = ["MaximumPoolBench"]


class MaximumPoolBench(Bench):
    """Sends windows of pixels, and compares the largest of each."""

    block = "maximum_pool"
    streams = ("pixels", "windows")
    quiet: ClassVar = {"least": 0}

    def __init__(self, dut, *, idle: str = "never", stall: str = "never"):
        super().__init__(dut)
        self.source("pixels", idle)
        self.sink("windows", stall)

    async def check(self, least: int, windows: list[list[tuple[int, bool]]]) -> None:
        """Send windows of values, each inside or not; values that are not are noise."""
        await self.cycle(least=least % 2**17)
        layout = pixel_layout()
        beats = []
        for window in windows:
            for place, (value, inside) in enumerate(window):
                last = place == len(window) - 1
                fields = {"value": value, "inside": int(inside), "last": int(last)}
                beats.append(pack(layout, fields))
        sending = self.start_soon(self.sources["pixels"].send(beats))
        found = await self.sinks["windows"].take(len(windows))
        await sending
        for window, result in zip(windows, found, strict=True):
            largest = max([value for value, inside in window if inside], default=least)
            assert result == largest % 2**17, window
