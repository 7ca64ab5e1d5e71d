"""Bench of the requantizer."""

from dataclasses import dataclass
from typing import ClassVar

from adq.rtl.platform.results.requantizer import accumulator_layout
from adq.verif.cocotb.bench import Bench, pack
from adq.verif.cocotb.requantizer.sizes import Sizes

__all__ = ["Configuration", "RequantizerBench", "expected"]


@dataclass(frozen=True)
class Configuration:
    """Settings of a layer."""

    shift: int
    skip_shift: int
    planes: int
    signed: int
    raw: int


def _wrapped(number: int, bits: int) -> int:
    return (number + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))


def expected(sizes: Sizes, configuration: Configuration, operands: dict[str, int]) -> int:
    """Compute a result in whole numbers, with the sum modulo its width."""
    total = operands["sum"] * operands["multiplier"] + operands["constant"]
    total += operands["skip"] * operands["skip_multiplier"] * 2**configuration.skip_shift
    total = _wrapped(total, sizes.total_bits)
    if configuration.raw:
        return total
    least = -(2 ** (configuration.planes - 1)) if configuration.signed else 0
    most = least + 2**configuration.planes - 1
    return min(max(total // 2**configuration.shift, least), most)


class RequantizerBench(Bench):
    """Sends accumulators, and compares the results."""

    quiet: ClassVar = {"shift": 0, "skip_shift": 0, "planes": 1, "signed": 0, "raw": 0}
    streams = ("accumulators", "results")

    def __init__(self, dut, sizes: Sizes, *, idle: str = "never", stall: str = "never"):
        self.block = sizes.block  # before ports are looked up
        super().__init__(dut)
        self.sizes = sizes
        self.layout = accumulator_layout(sizes.accumulator_bits, **sizes.parameters)
        self.source("accumulators", idle)
        self.sink("results", stall)

    def random_operands(self) -> dict[str, int]:
        """Draw operands: uniform in their logarithm, with the extremes, for every field."""
        drawn = {}
        for name, field in self.layout:
            bits = field.width
            kind = self.random.randrange(4)
            if kind == 0:
                value = self.random.choice((-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 0, -1, 1))
            else:
                value = _wrapped(self.random.getrandbits(self.random.randint(1, bits)), bits)
            drawn[name] = value
        return drawn

    async def check(self, configuration: Configuration, operands: list[dict[str, int]]) -> None:
        """Send operands of a layer, and compare every result."""
        await self.cycle(**vars(configuration))
        beats = [pack(self.layout, each) for each in operands]
        sending = self.start_soon(self.sources["accumulators"].send(beats))
        results = await self.sinks["results"].take(len(operands))
        await sending
        for each, found in zip(operands, results, strict=True):
            wanted = expected(self.sizes, configuration, each)
            assert _wrapped(found, self.sizes.total_bits) == wanted, (configuration, each)
