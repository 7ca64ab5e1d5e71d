"""Proofs that a mutant equals the tile: by induction, register by register.

Tile and mutant run side by side on the same inputs. A register and its counterpart in the mutant
are said to be equal, always or wherever a *guard* is low (``Guards``);
which of these claims to make is read off a simulation. Then a solver looks for a state in which all
claims and all lemmas hold, and an input, after which one does not. Claims that fail are given up,
or guarded, until those left are inductive. If no output can differ where they hold, the mutant is
equivalent. Claims that are always equal are not left to the solver: the mutant reads the tile's
register instead, and logic that has become the same is there once.

This is signal correspondence (van Eijk, 2000) under invariants and with observability.
"""

import time
from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from operator import or_

from adq.rtl.parameters import TileParameters
from adq.verif.signoff.mutation.aiger import Aig
from adq.verif.signoff.mutation.comparison import DIFFERS, HOLDS
from adq.verif.signoff.mutation.guards import Guards
from adq.verif.signoff.mutation.lemmas import ORDER_OF_JOBS, lemmas
from adq.verif.signoff.mutation.mutants import MutantError
from adq.verif.signoff.mutation.random_jobs import EVERYWHERE, RandomJobs, at_first, value
from adq.verif.signoff.mutation.registers import Clause
from adq.verif.signoff.mutation.step import Claim, Step

__all__ = ["Induction"]

FEW_GUARDS = 24
"""Of a register of which it is not known what uses it: those that are tried first."""


class Induction:
    """Proofs about a comparison of the tile with mutants of it.

    Parameters
    ----------
    comparison
        Both, named ``right`` and ``changed``, and the outputs of
        :class:`adq.verif.signoff.mutation.comparison.Comparison`.
    parameters
        Of the tile.

    Raises
    ------
    MutantError
        If a lemma does not hold.
    """

    def __init__(self, comparison: Aig, parameters: TileParameters):
        names = comparison.registers
        self.registers: dict[str, tuple[int, int]] = {}
        """By name: the latch, and whether it holds the inverse, as of what starts from 1."""
        for latch, several in names.items():
            for name in several:
                self.registers.setdefault(name.replace("!", ""), (latch, int("!" in name)))

        def of(tile: str, latch: int) -> frozenset[str]:
            marks = (tile, f"!{tile}")
            return frozenset(n.partition(".")[2] for n in names[latch] if n.startswith(marks))

        places = {of("right.", latch): latch for latch in names}
        self.pairs = {
            latch: places[own]
            for latch in names
            if (own := of("changed.", latch)) and places.get(own, latch) != latch
        }
        """Latches of the mutant, and those of the tile that they stand beside."""
        self.jobs = RandomJobs(parameters, comparison.inputs)
        self.lemmas = {
            name: [clause for text in clauses if (clause := self._latches(text))]
            for name, clauses in lemmas(parameters).items()
        }
        known = Guards(parameters)
        self.guards = {text: guard for text in known.all if (guard := self._latches(text))}
        self.everywhere = self._guards(known.everywhere)
        self.guards_of = {
            latch: self._guards(alone)
            for latch in self.pairs.values()
            if (alone := known.of(of("right.", latch))) is not None
        }
        """By the tile's latch, where it is known what uses it: those that are tried."""

    def _guards(self, clauses: Iterable[Clause]) -> list[tuple[int, ...]]:
        return [*dict.fromkeys(self.guards[text] for text in clauses if text in self.guards)]

    def _latches(self, clause: Clause) -> tuple[int, ...] | None:
        """Twice the place of each bit's latch, plus one where the latch is to be low; nothing where
        the tile has no such register.
        """
        found = []
        for text in clause:
            name = text.removeprefix("~")
            # Of the tile, or of the comparison itself.
            places = (f"right.{name}", f"right.{name.removesuffix('[0]')}", name)
            place = next((self.registers[p] for p in places if p in self.registers), None)
            if place is None:
                return None
            found.append(2 * place[0] + (place[1] ^ text.startswith("~")))
        return tuple(sorted(set(found)))

    def check_lemmas(self, circuit: Aig) -> None:
        """Show that all lemmas together are inductive; raises MutantError if not."""
        step = Step(circuit, self._all_lemmas())
        if not at_first(circuit, HOLDS):
            raise MutantError("what is said of the partial sum buffer is not true at first")
        if step.solve([-step.later(circuit.outputs[HOLDS])]):
            raise MutantError("what is said of the partial sum buffer is not inductive")
        for name, clauses in self.lemmas.items():
            for clause in clauses:
                if not any(literal & 1 for literal in clause):
                    raise MutantError(f"lemma not true at first: {name}")
                if step.solve([-step.after(literal) for literal in clause]):
                    raise MutantError(f"lemma not inductive: {name}")

    def _all_lemmas(self, but: str = "") -> list[tuple[int, ...]]:
        several = (clauses for name, clauses in self.lemmas.items() if name != but)
        return [clause for clauses in several for clause in clauses]

    def decide(self, circuit: Aig, *, seconds: float) -> tuple[bool | None, str]:
        """Whether a mutant can be told from the tile, and why: ``None`` where that is open.

        Parameters
        ----------
        circuit
            The comparison with one mutant selected.
        seconds
            Of a processor, for each attempt.
        """
        alike, circuit = self._untouched(circuit)
        traces, differs = self.jobs.traces(circuit, DIFFERS)
        if differs:
            return True, f"told from the tile after {differs} cycles of random jobs"
        touched = {changed: right for changed, right in self.pairs.items() if changed not in alike}
        # Those that excuse least come first.
        allowed = {
            guard: EVERYWHERE & ~reduce(or_, (value(bit, traces, EVERYWHERE) for bit in guard))
            for guard in self.guards.values()
        }
        count = {guard: word.bit_count() for guard, word in allowed.items()}
        excused = {
            (right, changed): [
                Claim(right, changed, guard)
                for guard in sorted(tried, key=count.get, reverse=True)
                if not (traces[right] ^ traces[changed]) & allowed[guard]
            ]
            for changed, right in touched.items()
            for tried in [self.guards_of.get(right, self.everywhere)]
        }
        differ = {changed for changed, right in touched.items() if traces[right] != traces[changed]}
        reason = ""
        for most in (FEW_GUARDS, None):
            ends = time.process_time() + seconds
            guarded = {
                pair: claims if pair[0] in self.guards_of else claims[:most]
                for pair, claims in excused.items()
            }
            equal, reason = self._prove(circuit, differ, guarded, ends)
            if equal:
                reason = f"{len(touched)} registers that it reaches are equal wherever they matter"
                return False, reason
        return None, reason

    def _prove(
        self,
        circuit: Aig,
        differ: set[int],
        guarded: dict[tuple[int, int], list[Claim]],
        ends: float,
    ) -> tuple[bool, str]:
        """Whether claims, of registers that are seen to differ with a guard, are inductive and
        enough.
        """
        always, claims = dict(self.pairs), []
        for changed in differ:
            claims += guarded[always.pop(changed), changed]
        while True:
            step = Step(circuit.merged(always), self._all_lemmas(but=ORDER_OF_JOBS))
            claims += [
                Claim(right, changed)
                for changed, right in always.items()
                if step.next(changed) != step.next(right)
            ]
            kept, broken = step.hold(claims, ends)
            if kept is None:
                return False, "no answer in time"
            claims = [claim for claim in kept if claim.guard]
            if not broken:
                break
            for claim in broken:
                del always[claim.changed]
                claims += guarded[claim.right, claim.changed]
        # What a result means depends on the order of jobs; no register's next value does.
        step.believe(self.lemmas.get(ORDER_OF_JOBS, ()))
        if step.outputs_can_differ(claims):
            return False, "no claims that are inductive exclude it"
        return True, ""

    def reduced(self, circuit: Aig) -> Aig:
        """The comparison with one mutant, of what the mutant reaches alone."""
        alone = replace(circuit, outputs={DIFFERS: circuit.outputs[DIFFERS]})
        return self._untouched(alone)[1].pruned()

    def _untouched(self, circuit: Aig) -> tuple[dict[int, int], Aig]:
        """Pairs of registers that a mutant does not reach, and the circuit without the mutant's."""
        alike = dict(self.pairs)
        while True:
            merged = circuit.merged(alike)
            different = [
                changed
                for changed, right in alike.items()
                if merged.latches[changed] != merged.latches[right]
            ]
            if not different:
                return alike, merged
            for changed in different:
                del alike[changed]
