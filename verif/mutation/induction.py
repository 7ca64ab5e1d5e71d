"""Proofs that a mutant equals the tile: by induction, register by register.

Tile and mutant run side by side on the same inputs. A register and its counterpart in the mutant
are said to be equal, always or wherever a *guard* is low (:func:`verif.mutation.guards.guards`);
which of these claims to make is read off a simulation. Then a solver looks for a state in which all
claims and all lemmas hold, and an input, after which one does not. Claims that fail are given up,
or guarded, until those left are inductive. If no output can differ where they hold, the mutant is
equivalent. Claims that are always equal are not left to the solver: the mutant reads the tile's
register instead, and logic that has become the same is there once.

This is signal correspondence (van Eijk, 2000) under invariants and with observability.
"""

import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_

from pysat.solvers import Solver

from rtl.interface import job_layout
from rtl.parameters import TileParameters
from verif.mutation.aiger import Aig
from verif.mutation.guards import guards
from verif.mutation.lemmas import ORDER_OF_JOBS, lemmas
from verif.mutation.mutants import MutantError
from verif.mutation.registers import Clause

__all__ = ["Induction"]

LANES = 256
"""Simulations at a time."""

CYCLES = 160

ALL = (1 << LANES) - 1

FEW_GUARDS = 24
"""Of a register, which are tried first."""

MOST_BROKEN = 40
"""Claims that fail together before what is left is set up anew."""


def stimuli(parameters: TileParameters, inputs: Iterable[str]) -> list[dict[str, int]]:
    """Of every cycle, the inputs in all lanes: jobs that are mostly well formed and short, and
    streams that mostly go on.
    """
    rng = random.Random(1)
    layout = job_layout(parameters)
    fields = {name: (field.offset, field.width) for name, field in layout}
    cycles = []
    for _ in range(CYCLES):
        words = {name: rng.getrandbits(LANES) for name in inputs}
        for name in ("jobs", "weights", "activations"):
            words[f"{name}__valid"] |= rng.getrandbits(LANES)
        words["results__ready"] |= rng.getrandbits(LANES)
        words["rst"] = reduce(lambda a, _: a & rng.getrandbits(LANES), range(6), words["rst"])
        jobs = []
        for _ in range(LANES):
            job = {
                "weight_bits": rng.choice(parameters.weight_widths),
                "activation_bits": rng.choice((1, 2, 3, 4, rng.randint(1, 16))),
                "signed": rng.getrandbits(1),
                "vectors": rng.randint(1, min(2, parameters.vectors)),
                "row_blocks": rng.randint(1, min(2, parameters.row_blocks)),
            }
            if rng.random() < 0.3:
                wrong = rng.choice([name for name in job if name != "signed"])
                job[wrong] = rng.getrandbits(fields[wrong][1])
            jobs.append(sum(value << fields[name][0] for name, value in job.items()))
        for bit in range(layout.size):
            word = sum((job >> bit & 1) << lane for lane, job in enumerate(jobs))
            words[f"jobs__payload[{bit}]"] = word
        cycles.append(words)
    return cycles


@dataclass(frozen=True)
class Claim:
    """A register of the tile and its counterpart are equal, unless one of the guard's literals
    holds; always, where it has none.
    """

    right: int
    changed: int
    guard: tuple[int, ...] = ()


class Induction:
    """Proofs about a comparison of the tile with mutants of it.

    Parameters
    ----------
    comparison
        Both, named ``right`` and ``changed``, and one output, which is high where they differ.
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
        self.parameters = parameters
        self.lemmas = {
            name: [clause for text in clauses if (clause := self._latches(text))]
            for name, clauses in lemmas(parameters).items()
        }
        self.guards = [guard for text in guards(parameters) if (guard := self._latches(text))]

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
        return tuple(found)

    def check_lemmas(self, circuit: Aig) -> None:
        """Show that all lemmas together are inductive; raises MutantError if not. Where a register
        that they speak of has lost its name to a mutant, those clauses are kept that are inductive
        without the ones about it.
        """
        said = sum(map(len, lemmas(self.parameters).values()))
        whole = len(self._all_lemmas()) == said
        while True:
            step = _Step(circuit, self._all_lemmas())
            kept = {
                name: [clause for clause in clauses if self._holds(name, clause, step, whole)]
                for name, clauses in self.lemmas.items()
            }
            if kept == self.lemmas:
                return
            self.lemmas = kept

    def _holds(self, name: str, clause: tuple[int, ...], step: "_Step", whole: bool) -> bool:
        at_first = any(literal & 1 for literal in clause)
        if at_first and not step.solve([-step.after(literal) for literal in clause]):
            return True
        if whole:
            raise MutantError(f"lemma not {'inductive' if at_first else 'true at first'}: {name}")
        return False

    def _all_lemmas(self, but: str = "") -> list[tuple[int, ...]]:
        several = (clauses for name, clauses in self.lemmas.items() if name != but)
        return [clause for clauses in several for clause in clauses]

    def decide(self, circuit: Aig, *, seconds: float) -> tuple[bool | None, str]:
        """Whether a mutant can be told from the tile, and why: ``None`` where that is open.

        Parameters
        ----------
        circuit
            The comparison with one mutant selected.
        """
        differs, reason = None, ""
        for most in (FEW_GUARDS, len(self.guards)):
            if differs is None:
                differs, reason = self._decide(circuit, most, time.process_time() + seconds)
        return differs, reason

    def _decide(self, circuit: Aig, most: int, ends: float) -> tuple[bool | None, str]:
        """The same by claims with so many guards."""
        alike, circuit = self._untouched(circuit)
        touched = {changed: right for changed, right in self.pairs.items() if changed not in alike}
        states, differs = self._simulate(circuit)
        if differs:
            return True, f"told from the tile after {differs} cycles of random jobs"
        # Those that excuse least come first.
        allowed = {
            guard: [ALL & ~reduce(or_, (_value(bit, state) for bit in guard)) for state in states]
            for guard in self.guards
        }
        strict = sorted(allowed, key=lambda g: -sum(word.bit_count() for word in allowed[g]))

        def guarded(changed: int, right: int) -> list[Claim]:
            differ = [state[right] ^ state[changed] for state in states]
            return [
                Claim(right, changed, guard)
                for guard in strict
                if not any(a & b for a, b in zip(differ, allowed[guard], strict=True))
            ][:most]

        always, claims = dict(self.pairs), []
        for changed, right in touched.items():
            if any(state[right] != state[changed] for state in states):
                del always[changed]
                claims += guarded(changed, right)
        while True:
            step = _Step(circuit.merged(always), self._all_lemmas(but=ORDER_OF_JOBS))
            claims += [
                Claim(right, changed)
                for changed, right in always.items()
                if step.next(changed) != step.next(right)
            ]
            kept, broken = step.hold(claims, ends)
            if kept is None:
                return None, "no answer in time"
            claims = [claim for claim in kept if claim.guard]
            if not broken:
                break
            for claim in broken:
                del always[claim.changed]
                claims += guarded(claim.changed, claim.right)
        # What a result means depends on the order of jobs; no register's next value does.
        step.believe(self.lemmas.get(ORDER_OF_JOBS, ()))
        if step.outputs_can_differ(claims):
            return None, "no claims that are inductive exclude it"
        return False, f"{len(touched)} registers that it reaches are equal wherever they matter"

    def reduced(self, circuit: Aig) -> Aig:
        """The comparison with one mutant, of what the mutant reaches alone."""
        return self._untouched(circuit)[1].pruned()

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

    def _simulate(self, circuit: Aig) -> tuple[list[list[int]], int]:
        """States of all latches, a word of lanes each, cycle by cycle, and the cycle in which an
        output differs, if one does.
        """
        values = [0] * (circuit.first_and + len(circuit.ands))
        first, last = circuit.first_latch, circuit.first_and
        states = []
        for cycle, words in enumerate(self._stimuli(circuit.inputs), 1):
            values[1:first] = [words[name] for name in circuit.inputs]
            states.append(values[first:last])
            for variable, (left, right) in enumerate(circuit.ands, last):
                a = values[left >> 1] ^ ALL if left & 1 else values[left >> 1]
                b = values[right >> 1] ^ ALL if right & 1 else values[right >> 1]
                values[variable] = a & b
            if any(_value(output, values) for output in circuit.outputs):
                return states, cycle
            values[first:last] = [_value(following, values) for following, _ in circuit.latches]
        return states, 0

    def _stimuli(self, inputs: tuple[str, ...]) -> list[dict[str, int]]:
        if not hasattr(self, "_drawn"):
            self._drawn = stimuli(self.parameters, inputs)
        return self._drawn


def _value(literal: int, values: list[int]) -> int:
    return values[literal >> 1] ^ ALL if literal & 1 else values[literal >> 1]


class _Step:
    """A cycle of a circuit, for a solver: from any state in which lemmas hold to the next."""

    def __init__(self, circuit: Aig, lemmas: list[tuple[int, ...]]):
        self.circuit = circuit
        self.solver = Solver("glucose4")
        self.solver.add_clause([-1])
        self.variables = circuit.first_and + len(circuit.ands)
        self.known = set()
        self.believe(lemmas)

    def believe(self, lemmas: Iterable[tuple[int, ...]]) -> None:
        """That these hold in the first cycle."""
        for clause in lemmas:
            self.solver.add_clause([self.before(literal) for literal in clause])

    def next(self, latch: int) -> int:
        """Literal of the circuit that a latch takes on."""
        return self.circuit.latches[latch][0]

    def before(self, literal: int) -> int:
        """A latch in the first cycle, as a variable of the solver."""
        variable = self.circuit.first_latch + (literal >> 1) + 1
        return -variable if literal & 1 else variable

    def after(self, literal: int) -> int:
        """A latch in the second cycle."""
        return self.now(self.next(literal >> 1) ^ (literal & 1))

    def now(self, literal: int) -> int:
        """A signal in the first cycle."""
        first = self.circuit.first_and
        for variable in self.circuit.cone([literal]) - self.known if literal >> 1 >= first else ():
            own = variable + 1
            operands = [self._of(operand) for operand in self.circuit.ands[variable - first]]
            for operand in operands:
                self.solver.add_clause([-own, operand])
            self.solver.add_clause([own, *(-operand for operand in operands)])
            self.known.add(variable)
        return self._of(literal)

    @staticmethod
    def _of(literal: int) -> int:
        variable = (literal >> 1) + 1
        return -variable if literal & 1 else variable

    def new(self) -> int:
        """A variable of the solver."""
        self.variables += 1
        return self.variables

    def different(self, left: int, right: int) -> int:
        """A variable that says whether two are."""
        both = self.new()
        self.solver.add_clause([-both, left, right])
        self.solver.add_clause([-both, -left, -right])
        self.solver.add_clause([both, -left, right])
        self.solver.add_clause([both, left, -right])
        return both

    def solve(self, assumptions: list[int]) -> bool:
        """Whether there is such a step."""
        return self.solver.solve(assumptions)

    def hold(self, claims: list[Claim], ends: float):
        """Claims that hold in the second cycle where they hold in the first, and those without a
        guard that do not; nothing where time ends first.
        """
        differ = {}
        assumed, failed = {}, {}
        for claim in claims:
            pair = (claim.right, claim.changed)
            if pair not in differ:
                before = self.different(*(self.before(2 * latch) for latch in pair))
                after = self.different(*(self.after(2 * latch) for latch in pair))
                differ[pair] = (before, after)
            before, after = differ[pair]
            assumed[claim], failed[claim] = self.new(), self.new()
            if claim.guard:
                guard = [self.before(literal) for literal in claim.guard]
                self.solver.add_clause([-assumed[claim], -before, *guard])
            self.solver.add_clause([-failed[claim], after])
            for literal in claim.guard:
                self.solver.add_clause([-failed[claim], -self.after(literal)])
        kept, broken = set(claims), []
        # A claim says no more than one of the same registers whose guard excuses less: while that
        # is kept, nothing is asked about it.
        stronger = {}
        for claim in claims:
            same = stronger.setdefault((claim.right, claim.changed), {})
            same[claim] = [other for other in same if set(other.guard) < set(claim.guard)]
            for other, those in same.items():
                if set(claim.guard) < set(other.guard):
                    those.append(claim)

        def implied(claim: Claim) -> bool:
            return not kept.isdisjoint(stronger[claim.right, claim.changed][claim])

        def assumptions() -> list[int]:
            return [assumed[c] for c in claims if c.guard and c in kept and not implied(c)]

        # One after the other: what refutes a claim is mostly close to it. Where one falls, those
        # before it may have stood on it alone.
        settled, standing = False, assumptions()
        while not settled and len(broken) <= MOST_BROKEN:
            settled = True
            for suspect in claims:
                while (
                    suspect in kept
                    and not implied(suspect)
                    and self.solve([failed[suspect], *standing])
                ):
                    if time.process_time() > ends:
                        return None, broken
                    settled = False
                    model = self.solver.get_model()
                    fallen = [
                        claim
                        for claim in kept
                        if model[differ[claim.right, claim.changed][1] - 1] > 0
                        and not any(_true(model, self.after(literal)) for literal in claim.guard)
                    ]
                    kept.difference_update(fallen)
                    standing = assumptions()
                    broken += (claim for claim in fallen if not claim.guard)
                if time.process_time() > ends:
                    return None, broken
        self.assumed = {claim: assumed[claim] for claim in kept}
        return [claim for claim in claims if claim in kept], broken

    def outputs_can_differ(self, claims: list[Claim]) -> bool:
        """Whether an output can be high where claims that hold do."""
        assumptions = [self.assumed[claim] for claim in claims]
        return any(self.solve([self.now(o), *assumptions]) for o in self.circuit.outputs)


def _true(model: list[int], literal: int) -> bool:
    variable = abs(literal)
    known = variable <= len(model) and model[variable - 1] > 0
    return known == (literal > 0)
