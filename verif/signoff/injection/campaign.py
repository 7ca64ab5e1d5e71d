"""Fault injection campaign: effects of bit flips, by kind of bit."""

import math
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

from adq.rtl.parameters import TileParameters
from adq.verif.parallel.pools import Pool
from adq.verif.signoff.injection.targets import TOP, FaultyTile, Target
from adq.verif.signoff.mutation.mutants import SELECT
from adq.verif.signoff.regression.batches import BatchModel, run_batches
from adq.verif.simulation.environment import tile_environment

__all__ = ["TILE", "Effect", "FaultCampaign", "Injection", "Rate", "describe", "rates"]

TILE = TileParameters(rows=4, columns=16, row_blocks=3, partial_sums=4, vectors=6, counter_bits=16)

WORKLOADS = 20
"""Number of workloads over which the faults of each kind are distributed."""


class Effect(StrEnum):
    """Effect of a fault."""

    MASKED = "masked"
    DETECTED = "detected"
    SILENT = "silent corruption"


@dataclass(frozen=True)
class Injection:
    """One bit flip in a workload. ``moment`` is its time as a fraction of the run, 0 to 1."""

    number: int
    target: Target
    workload: int
    moment: float


@dataclass
class Rate:
    """Effects of the faults in one kind of bit.

    Attributes
    ----------
    bits : int
        Number of bits from which the faults are drawn.
    effects : Counter of Effect
        Number of faults with each effect.
    signs : Counter of str
        Number of faults detected by each sign.
    """

    kind: str
    bits: int
    effects: Counter = field(default_factory=Counter)
    signs: Counter = field(default_factory=Counter)

    @property
    def count(self) -> int:
        """Number of faults."""
        return sum(self.effects.values())

    def share(self, effect: Effect) -> tuple[float, float, float]:
        """Return the share of an effect and the bounds of its 95 % confidence interval."""
        return (self.effects[effect] / self.count, *wilson(self.effects[effect], self.count))

    def as_dict(self) -> dict:
        """Return the rate as plain values for JSON."""
        shares = {}
        for effect in Effect:
            share, low, high = self.share(effect)
            shares[effect.name.lower()] = {
                "count": self.effects[effect],
                "share": share,
                "interval": [low, high],
            }
        return (
            {"kind": self.kind, "bits": self.bits, "faults": self.count}
            | shares
            | {"signs": dict(self.signs)}
        )


def wilson(hits: int, count: int, *, z: float = 1.959964) -> tuple[float, float]:
    """Return the Wilson score interval of a share, at 95 % by default.

    The interval (Wilson, 1927) is accurate for few faults and for shares near 0 or 1.
    """
    share = hits / count
    middle = share + z * z / (2 * count)
    reach = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    # Keep a share of 0 or 1 inside the bounds despite rounding.
    return min(share, max(0.0, (middle - reach) / scale)), max(
        share, min(1.0, (middle + reach) / scale)
    )


class FaultCampaign:
    """Injects ``count`` faults in each kind of bit, at times drawn from a seed."""

    def __init__(self, *, count: int, seed: int, directory: Path, cache: Path, pool: Pool):
        self.seed = seed
        self.directory = directory.resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.cache = cache
        self.pool = pool
        self.tile = FaultyTile(TILE)
        generator = random.Random(seed)
        by_kind: dict[str, list[Target]] = {}
        for target in self.tile.targets:
            by_kind.setdefault(target.kind, []).append(target)
        self.bits = {kind: len(targets) for kind, targets in by_kind.items()}
        self.injections = [
            Injection(number, generator.choice(targets), number % WORKLOADS, generator.random())
            for number, targets in enumerate(
                targets for targets in by_kind.values() for _ in range(count)
            )
        ]

    def build(self) -> BatchModel:
        """Build the simulation model in which every bit can flip."""
        model = BatchModel(
            cache=self.cache,
            top=TOP,
            ports=(*self.tile.ports, SELECT),
            verilog=self.tile.verilog,
        )
        model.build()
        return model

    def run(self, model: BatchModel) -> Iterator[tuple[Injection, Effect, list[str]]]:
        """Run the faults, and yield each with its effect and signs as soon as it is simulated.

        Raises
        ------
        adq.verif.simulation.simulator.SimulationError
            If a simulation aborts, or if a workload without a fault shows a sign.
        """
        batches = []
        for workload in range(WORKLOADS):
            own = [injection for injection in self.injections if injection.workload == workload]
            faults = [
                {
                    "number": injection.number,
                    "select": injection.target.select,
                    "flip": injection.target.flip,
                    "moment": injection.moment,
                }
                for injection in own
            ]
            batches.append([{"seed": self.seed * WORKLOADS + workload, "faults": faults}])
        for line in run_batches(
            model,
            "adq.verif.signoff.injection.injecting",
            batches,
            environment=tile_environment(TILE),
            directory=self.directory,
            seed=self.seed,
            pool=self.pool,
        ):
            yield self.injections[line["number"]], Effect[line["outcome"].upper()], line["signs"]


def rates(bits: dict[str, int], outcomes: list[tuple[Injection, Effect, list[str]]]) -> list[Rate]:
    """Return the effects by kind of bit, in the order of ``bits``."""
    found = {kind: Rate(kind, count) for kind, count in bits.items()}
    for injection, effect, signs in outcomes:
        rate = found[injection.target.kind]
        rate.effects[effect] += 1
        rate.signs.update(signs)
    return [rate for rate in found.values() if rate.count]


def describe(injection: Injection, effect: Effect, signs: list[str]) -> dict:
    """Return a fault and its effect as plain values for JSON."""
    return asdict(injection) | {"effect": effect.name.lower(), "signs": signs}
