"""Fits the energies of classes of nets to a characterization of cells.

At gate level every cell belongs to a class of the RTL's nets, so that each class has an energy of
its own there: of data, and of the clock. Each of these is taken as a sum of few counts of the RTL,
with coefficients that are not negative: toggles of the classes around the cells, or clocked bits,
cycles with a clock and cycles at all. A class is fitted apart from the others, so that a toggle or
a clocked bit does not get the energy of something else that happened in the same cycles, and the
coefficients hold in an RTL that switches otherwise.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from adq.energy.counted import CYCLES, KINDS, CountedModel, Term, terms_of_counts
from adq.verif.simulation.switching.net_classes import ClassCounts, NetClass

__all__ = ["CLOCK", "DATA", "cycles_of", "fit_counted", "gate_energies", "near", "solve"]

DATA, CLOCK = "data_fj", "clock_fj"
TOGGLES, CLOCKED, ENABLED = KINDS

OTHERS = 0.03
"""Weight of the rule that a block's energy comes of its own toggles and clocked bits: another term
stays out unless it lowers the error by more than this share of what it adds."""

LEAST_SHARE = 1e-5
"""Share of a run's energy that a term must reach in some run, or it is left out."""


def cycles_of(run: Mapping[str, Any]) -> int:
    """Return the cycles of a run, loading and computing."""
    return sum(window["cycles"] for window in run["windows"].values())


def gate_energies(run: Mapping[str, Any]) -> dict[str, float]:
    """Return the energy in fJ by block that a run took at gate level."""
    blocks: dict[str, float] = {}
    for net_class, parts in run["classes"].items():
        block = NetClass.parse(net_class).block
        blocks[block] = blocks.get(block, 0.0) + parts[DATA] + parts[CLOCK]
    return blocks


def fit_counted(
    runs: Sequence[Mapping[str, Any]],
    fan_in: Mapping[str, Sequence[str]],
    named: Sequence[str],
) -> CountedModel:
    """Find the energy of each class from runs that were characterized.

    Parameters
    ----------
    fan_in : by class of cells, the classes of the nets that they read or drive
    named : classes of which mapping has left a net
    """
    counts = [terms_of_counts(ClassCounts.from_json(run["counts"]), cycles_of(run)) for run in runs]
    weights = np.array([1 / sum(gate_energies(run).values()) for run in runs])
    names = list(dict.fromkeys(term for each in counts for term in each))
    values = {name: np.array([each.get(name, 0.0) for each in counts]) for name in names}
    known = {NetClass.parse(text) for kind, text in names if kind != CYCLES}
    lost = known - set(map(NetClass.parse, named))
    groups = sorted({NetClass.parse(text) for run in runs for text in run["classes"]})
    terms: dict[str, dict[Term, float]] = {}
    for group in groups:
        energies = {
            kind: np.array([run["classes"].get(str(group), {}).get(kind, 0.0) for run in runs])
            for kind in (DATA, CLOCK)
        }
        around = set(map(NetClass.parse, fan_in.get(str(group), ())))
        candidates = {
            DATA: [(TOGGLES, str(each)) for each in near(group, around, known, lost)],
            CLOCK: _clocks(group, names),
        }
        for part, energy in energies.items():
            chosen = [term for term in candidates[part] if term in values]
            own = [
                kind in (TOGGLES, CLOCKED) and NetClass.parse(text).block == group.block
                for kind, text in chosen
            ]
            found = solve(energy, [values[term] for term in chosen], own, weights)
            into = terms.setdefault(group.block, {})
            for term, each in zip(chosen, found, strict=True):
                if each:
                    into[term] = into.get(term, 0.0) + each
    return CountedModel(terms, _means(runs, terms), frozenset(known))


def near(
    group: NetClass, around: set[NetClass], known: set[NetClass], lost: set[NetClass]
) -> list[NetClass]:
    """Return the classes whose toggles may move the energy of a class of cells: the block's own
    ones and those of the nets that the cells read or drive, and in their blocks those that mapping
    has taken the nets of.
    """
    blocks = {each.block for each in around} | {group.block}
    return sorted(
        each
        for each in known
        if each.block == group.block or each in around or (each in lost and each.block in blocks)
    )


def _clocks(group: NetClass, names: Sequence[Term]) -> list[Term]:
    """Return the terms of the clock: those of the class's registers; of gates in front of several
    classes' registers the cycles in which each of the block is clocked.
    """
    own = [(CLOCKED, str(group)), (ENABLED, str(group))]
    if own[0] not in names:
        own = [
            term
            for term in names
            if term[0] == ENABLED and NetClass.parse(term[1]).block == group.block
        ]
    return [*own, (CYCLES, "")]


def solve(
    energy: np.ndarray, terms: list[np.ndarray], own: Sequence[bool], weights: np.ndarray
) -> np.ndarray:
    """Return the coefficients by least squares that are not negative, relative to each run's whole
    energy.

    Where counts go together, as bits of a word and cycles in which it is clocked, the energy is
    that of the block's ``own`` terms.
    """
    from scipy.optimize import nnls

    solution = np.zeros(len(terms))
    # Columns of one scale, since counts differ by orders of magnitude.
    matrix = np.array(terms).T * weights[:, None]
    scale = matrix.max(axis=0, initial=0.0)
    used = np.flatnonzero(scale > 0)
    target = np.append(energy * weights, 0.0)
    rule = OTHERS * np.sqrt(len(weights)) * ~np.asarray(own, bool)
    while used.size:
        solution[:] = 0
        rows = np.vstack([matrix[:, used] / scale[used], rule[used]])
        solution[used] = nnls(rows, target)[0] / scale[used]
        share = (matrix[:, used] * solution[used]).max(axis=0)
        if (share >= LEAST_SHARE).all():
            break
        used = used[share >= LEAST_SHARE]
    else:
        solution[:] = 0
    return solution


def _means(
    runs: Sequence[Mapping[str, Any]], terms: Mapping[str, Mapping[Term, float]]
) -> dict[str, dict[str, float]]:
    """Return the mean energy of a block's toggle and of its clocked bit, over all runs."""
    means = {}
    for block in terms:
        sums = dict.fromkeys((DATA, CLOCK, "toggles", "clocked"), 0.0)
        for run in runs:
            for text, parts in run["classes"].items():
                if NetClass.parse(text).block == block:
                    sums[DATA] += parts[DATA]
                    sums[CLOCK] += parts[CLOCK]
            for kind in ("toggles", "clocked"):
                for text, count in run["counts"][kind].items():
                    sums[kind] += count if NetClass.parse(text).block == block else 0
        means[block] = {
            "toggles": sums[DATA] / max(1.0, sums["toggles"]),
            "clocked": sums[CLOCK] / max(1.0, sums["clocked"]),
        }
    return means
