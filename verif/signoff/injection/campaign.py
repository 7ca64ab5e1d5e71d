"""A campaign of faults: what becomes of a bit that flips, by the kind of bit."""

import math
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

from adq.rtl.parameters import TileParameters
from adq.verif.signoff.injection.targets import TOP, FaultyTile, Target
from adq.verif.signoff.mutation.mutants import SELECT
from adq.verif.signoff.regression.batches import run_batches
from adq.verif.simulation.simulator import Build, build

__all__ = ["TILE", "Effect", "FaultCampaign", "Injection", "Rate", "describe", "rates"]

TILE = TileParameters(rows=4, columns=16, row_blocks=3, partial_sums=4, vectors=6, counter_bits=16)

WORKLOADS = 20
"""Among which the faults of each kind are spread."""


class Effect(StrEnum):
    """What a fault does."""

    MASKED = "masked"
    DETECTED = "detected"
    SILENT = "silent corruption"


@dataclass(frozen=True)
class Injection:
    """A bit that flips at a moment, from 0 to 1, of a workload."""

    number: int
    target: Target
    workload: int
    moment: float


@dataclass
class Rate:
    """Effects of the faults of one kind.

    Attributes
    ----------
    bits : int
        From which they are drawn.
    effects : counts of each effect
    signs : counts of what told of those that were detected
    """

    kind: str
    bits: int
    effects: Counter = field(default_factory=Counter)
    signs: Counter = field(default_factory=Counter)

    @property
    def count(self) -> int:
        """Faults."""
        return sum(self.effects.values())

    def share(self, effect: Effect) -> tuple[float, float, float]:
        """Share of an effect, and the bounds of its interval at 95 %."""
        return (self.effects[effect] / self.count, *wilson(self.effects[effect], self.count))

    def as_dict(self) -> dict:
        """The same for programs."""
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
    """Bounds of a share at 95 % (Wilson, 1927): good for few faults and for shares near 0 or 1."""
    share = hits / count
    middle = share + z * z / (2 * count)
    reach = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    # Rounding must not put a share of 0 or 1 outside.
    return min(share, max(0.0, (middle - reach) / scale)), max(
        share, min(1.0, (middle + reach) / scale)
    )


class FaultCampaign:
    """As many faults in each kind of bit, at moments drawn by a seed."""

    def __init__(self, *, count: int, seed: int, directory: Path, cache: Path, processes: int):
        self.seed = seed
        self.directory = directory.resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.cache = cache
        self.processes = processes
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

    def build(self) -> Build:
        """The model in which every bit can flip."""
        return build(
            self.cache,
            top=TOP,
            ports=[*self.tile.ports, SELECT],
            sources={f"{TOP}.v": self.tile.verilog},
        )

    def run(self, model: Build) -> Iterator[tuple[Injection, Effect, list[str]]]:
        """Each fault with its effect and the signs that tell of it, as they come.

        Raises
        ------
        adq.verif.simulation.simulator.SimulationError
            If a simulation breaks off, or shows a sign without a fault.
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
            tile=TILE,
            directory=self.directory,
            seed=self.seed,
            processes=self.processes,
        ):
            yield self.injections[line["number"]], Effect[line["outcome"].upper()], line["signs"]


def rates(bits: dict[str, int], outcomes: list[tuple[Injection, Effect, list[str]]]) -> list[Rate]:
    """Effects by kind of bit, in the order of the kinds."""
    found = {kind: Rate(kind, count) for kind, count in bits.items()}
    for injection, effect, signs in outcomes:
        rate = found[injection.target.kind]
        rate.effects[effect] += 1
        rate.signs.update(signs)
    return [rate for rate in found.values() if rate.count]


def describe(injection: Injection, effect: Effect, signs: list[str]) -> dict:
    """A fault for programs."""
    return asdict(injection) | {"effect": effect.name.lower(), "signs": signs}
