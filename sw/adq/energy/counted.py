"""Energy of counted switching: what the RTL's own nets did, times what each class of them takes.

Counts come from a simulation of the RTL, see ``activity``. Nothing here knows what a block
computes, or from which operands: a change of the RTL that changes its switching changes the energy.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from adq.energy.terms import LOADING
from adq.golden.files.json_reader import JsonObject
from adq.verif.simulation.switching.net_classes import ClassCounts, NetClass

__all__ = [
    "CYCLES",
    "KINDS",
    "CountedEnergy",
    "CountedModel",
    "Term",
    "terms_of_counts",
]

CYCLES = "cycles"
"""Term of what every cycle takes: the pins of the clock gates, and registers without one."""

KINDS = ("toggles", "clocked", "enabled")
"""Counts of a class, see :class:`adq.verif.simulation.switching.net_classes.ClassCounts`."""

_Name = TypeVar("_Name")

Term = tuple[str, str]
"""A kind of count and the class, or ``CYCLES`` with an empty class."""


def terms_of_counts(counts: ClassCounts, cycles: int) -> dict[Term, float]:
    """Return the counts of a run as terms of the model."""
    terms: dict[Term, float] = {(CYCLES, ""): cycles}
    for kind in KINDS:
        for net_class, count in getattr(counts, kind).items():
            terms[kind, str(net_class)] = count
    return terms


@dataclass(frozen=True)
class CountedEnergy:
    """Energy of counted switching, in fJ.

    Attributes
    ----------
    blocks : dict of str to float
    estimated : dict of NetClass to float
        Share of it of each class that was not characterized, at the mean of its block.
    left_out : tuple of str
        Blocks whose switching was counted, and of which nothing was characterized.
    """

    blocks: dict[str, float]
    estimated: dict[NetClass, float]
    left_out: tuple[str, ...]

    @property
    def load(self) -> float:
        """Energy of loading weights."""
        return sum(self.blocks.get(block, 0.0) for block in LOADING)

    @property
    def compute(self) -> float:
        """Energy of all else."""
        return self.total - self.load

    @property
    def total(self) -> float:
        """Energy of everything that was characterized."""
        return sum(self.blocks.values())


@dataclass(frozen=True)
class CountedModel:
    """Coefficients of a library's cells for the RTL's classes of nets.

    Attributes
    ----------
    terms : mapping of str to mapping of Term to float
        By block, the fJ of one unit of each term that moves its energy: mostly of its own classes.
    means : mapping of str to mapping of str to float
        By block, the mean fJ of a toggle and of a clocked bit, for classes that are not among the
        characterized ones.
    classes : frozenset of NetClass
        All that were characterized; one without a term takes nothing.
    """

    terms: Mapping[str, Mapping[Term, float]]
    means: Mapping[str, Mapping[str, float]]
    classes: frozenset[NetClass]

    def energy(self, counts: ClassCounts, cycles: int) -> CountedEnergy:
        """Return the energy of counts over so many cycles."""
        values = terms_of_counts(counts, cycles)
        blocks = {
            block: sum(energy * values.get(term, 0.0) for term, energy in of_block.items())
            for block, of_block in self.terms.items()
        }
        estimated: dict[NetClass, float] = {}
        left_out: dict[str, None] = {}
        for kind in ("toggles", "clocked"):
            for net_class, count in getattr(counts, kind).items():
                if net_class.block not in self.means:
                    left_out[net_class.block] = None
                elif net_class not in self.classes and count:
                    energy = count * self.means[net_class.block].get(kind, 0.0)
                    estimated[net_class] = estimated.get(net_class, 0.0) + energy
                    blocks[net_class.block] += energy
        return CountedEnergy(blocks, estimated, tuple(left_out))

    def to_json(self) -> JsonObject:
        """Return what a file holds."""
        return {
            "terms": {
                block: {" ".join(term).strip(): energy for term, energy in of_block.items()}
                for block, of_block in self.terms.items()
            },
            "means": {block: dict(means) for block, means in self.means.items()},
            "classes": sorted(map(str, self.classes)),
        }

    @classmethod
    def from_json(cls, content: JsonObject) -> "CountedModel":
        """Read what ``to_json`` gave.

        Raises
        ------
        KeyError, TypeError, ValueError, AttributeError
            If it is something else.
        """
        return cls(
            terms={block: dict(_terms(of_block)) for block, of_block in content["terms"].items()},
            means={
                block: {kind: float(energy) for kind, energy in means.items()}
                for block, means in content["means"].items()
            },
            classes=frozenset(map(NetClass.parse, content["classes"])),
        )

    def scaled(self, factors: Mapping[str, float]) -> "CountedModel":
        """Return the model with the energy of a toggle of some classes multiplied."""
        terms = {
            block: {
                (kind, name): energy * (factors.get(name, 1.0) if kind == "toggles" else 1.0)
                for (kind, name), energy in of_block.items()
            }
            for block, of_block in self.terms.items()
        }
        return CountedModel(terms, self.means, self.classes)

    @classmethod
    def blend(cls, parts: Sequence[tuple["CountedModel", float]]) -> "CountedModel":
        """Return the mean of models, each with its weight."""
        return cls(
            terms=_weighted((model.terms, weight) for model, weight in parts),
            means=_weighted((model.means, weight) for model, weight in parts),
            classes=frozenset().union(*(model.classes for model, _ in parts)),
        )


def _weighted(
    parts: Iterable[tuple[Mapping[str, Mapping[_Name, float]], float]],
) -> dict[str, dict[_Name, float]]:
    """Sum of energies by block and name, each times its weight."""
    total: dict[str, dict[_Name, float]] = {}
    for of_model, weight in parts:
        for block, found in of_model.items():
            sums = total.setdefault(block, {})
            for name, energy in found.items():
                sums[name] = sums.get(name, 0.0) + weight * energy
    return total


def _terms(content: Mapping[str, float]) -> Iterator[tuple[Term, float]]:
    for text, energy in content.items():
        kind, _, net_class = text.partition(" ")
        if kind not in (CYCLES, *KINDS):
            raise ValueError(f"{text!r:.40} is no term of the model")
        if kind != CYCLES:
            NetClass.parse(net_class)
        if not 0 <= float(energy) < float("inf"):
            raise ValueError(f"{energy} is no energy")
        yield (kind, net_class), float(energy)
