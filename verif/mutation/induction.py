"""Proofs that a mutant equals the tile: by induction, register by register.

Tile and mutant run side by side on the same inputs. A register and its counterpart in the mutant
are said to be equal, always or wherever a *guard* is low (:class:`verif.mutation.guards.Guards`);
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
from dataclasses import dataclass, replace
from functools import reduce
from itertools import chain
from operator import or_

from pysat.solvers import Solver

from rtl.interface import job_layout
from rtl.parameters import TileParameters
from verif.mutation.aiger import Aig
from verif.mutation.comparison import DIFFERS, HOLDS
from verif.mutation.guards import Guards
from verif.mutation.lemmas import ORDER_OF_JOBS, lemmas
from verif.mutation.mutants import MutantError
from verif.mutation.registers import Clause

__all__ = ["Induction"]

LANES = 256
"""Simulations at a time."""

CYCLES = 160

ALL = (1 << LANES) - 1

FEW_GUARDS = 24
"""Of a register of which it is not known what uses it: those that are tried first."""

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
        known = Guards(parameters)
        self.guards = {
            text: guard for text in known.all if (guard := self._latches(text)) is not None
        }
        everywhere = [self.guards[text] for text in known.everywhere if text in self.guards]
        self.guards_of: dict[int, list[tuple[int, ...]]] = {}
        """By the tile's latch: those that are tried."""
        self.known_use: set[int] = set()
        """Latches of which it is known what uses them."""
        for latch in self.pairs.values():
            alone = known.of(of("right.", latch))
            self.guards_of[latch] = everywhere
            if alone is not None:
                self.known_use.add(latch)
                self.guards_of[latch] = [self.guards[t] for t in alone if t in self.guards]

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
        """Show that all lemmas together are inductive; raises MutantError if not."""
        step = _Step(circuit, self._all_lemmas())
        if not _value(circuit.outputs[HOLDS], _values(circuit), ALL):
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
        traces, differs = self._simulate(circuit)
        if differs:
            return True, f"told from the tile after {differs} cycles of random jobs"
        touched = {changed: right for changed, right in self.pairs.items() if changed not in alike}
        # Those that excuse least come first.
        everything = (1 << LANES * CYCLES) - 1
        allowed = {
            guard: everything & ~reduce(or_, (_value(bit, traces, everything) for bit in guard))
            for guard in self.guards.values()
        }
        count = {guard: word.bit_count() for guard, word in allowed.items()}
        excused = {
            (right, changed): [
                Claim(right, changed, guard)
                for guard in sorted(self.guards_of[right], key=count.get, reverse=True)
                if not (traces[right] ^ traces[changed]) & allowed[guard]
            ]
            for changed, right in touched.items()
        }
        differ = {changed for changed, right in touched.items() if traces[right] != traces[changed]}
        reason = ""
        for most in (FEW_GUARDS, None):
            ends = time.process_time() + seconds
            guarded = {
                pair: claims if pair[0] in self.known_use else claims[:most]
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
            step = _Step(circuit.merged(always), self._all_lemmas(but=ORDER_OF_JOBS))
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

    def _simulate(self, circuit: Aig) -> tuple[list[int], int]:
        """What each latch holds in all cycles, lanes side by side, and the cycle in which an output
        differs, if one does.
        """
        first, last = circuit.first_latch, circuit.first_and
        inputs = self._stimuli(circuit.inputs)
        values, states = [0] * last, []
        for cycle, words in enumerate(inputs, 1):
            values[1:first] = [words[name] for name in circuit.inputs]
            states.append(values[first:last])
            values = _values(circuit, values)
            if _value(circuit.outputs[DIFFERS], values, ALL):
                return [], cycle
            values[first:last] = [_value(next_, values, ALL) for next_, _ in circuit.latches]
            del values[last:]
        return [_joined(words) for words in zip(*states, strict=True)], 0

    def _stimuli(self, inputs: tuple[str, ...]) -> list[dict[str, int]]:
        if not hasattr(self, "_drawn"):
            self._drawn = stimuli(self.parameters, inputs)
        return self._drawn


def _value(literal: int, values: list[int], ones: int) -> int:
    return values[literal >> 1] ^ ones if literal & 1 else values[literal >> 1]


def _values(circuit: Aig, given: Iterable[int] = ()) -> list[int]:
    """Of all variables, from those of inputs and latches: all low, where none are given."""
    values = list(given) or [0] * circuit.first_and
    for left, right in circuit.ands:
        a = values[left >> 1] ^ ALL if left & 1 else values[left >> 1]
        b = values[right >> 1] ^ ALL if right & 1 else values[right >> 1]
        values.append(a & b)
    return values


def _joined(words: Iterable[int]) -> int:
    """Words of all lanes, cycle by cycle, as one number."""
    return int.from_bytes(b"".join(word.to_bytes(LANES // 8, "little") for word in words), "little")


class _Step:
    """A cycle of a circuit, for a solver: from any state in which lemmas hold to the next."""

    def __init__(self, circuit: Aig, lemmas: list[tuple[int, ...]]):
        self.circuit = circuit
        self.solver = Solver("glucose4")
        self.solver.add_clause([-1])
        self.variables = circuit.first_and + len(circuit.ands)
        self.known: set[int] = set()
        self.soon: dict[int, int] = {}
        self.believe(lemmas)
        self.solver.add_clause([self.now(circuit.outputs[HOLDS])])

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
        new = self.circuit.cone([literal], but=self.known)
        for variable in new:
            own = variable + 1
            operands = [self._of(operand) for operand in self.circuit.ands[variable - first]]
            for operand in operands:
                self.solver.add_clause([-own, operand])
            self.solver.add_clause([own, *(-operand for operand in operands)])
        self.known |= new
        return self._of(literal)

    def later(self, literal: int) -> int:
        """A signal in the second cycle, of registers alone."""
        first = self.circuit.first_and
        for variable in sorted(self.circuit.cone([literal], but=self.soon.keys())):
            own = self.soon[variable] = self.new()
            operands = [self._soon(operand) for operand in self.circuit.ands[variable - first]]
            for operand in operands:
                self.solver.add_clause([-own, operand])
            self.solver.add_clause([own, *(-operand for operand in operands)])
        return self._soon(literal)

    def _soon(self, literal: int) -> int:
        variable = literal >> 1
        if variable in self.soon:
            return -self.soon[variable] if literal & 1 else self.soon[variable]
        if variable:
            return self.after(2 * (variable - self.circuit.first_latch) + (literal & 1))
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
        of_pair: dict[tuple[int, int], list[Claim]] = {}
        for claim in claims:
            of_pair.setdefault((claim.right, claim.changed), []).append(claim)
        assumed, failed, differs, stronger = {}, {}, {}, {}
        for pair, same in of_pair.items():
            before = self.different(*(self.before(2 * latch) for latch in pair))
            differs[pair] = self.different(*(self.after(2 * latch) for latch in pair))
            for claim in same:
                assumed[claim], failed[claim] = self.new(), self.new()
                if claim.guard:
                    guard = [self.before(literal) for literal in claim.guard]
                    self.solver.add_clause([-assumed[claim], -before, *guard])
                self.solver.add_clause([-failed[claim], differs[pair]])
                for literal in claim.guard:
                    self.solver.add_clause([-failed[claim], -self.after(literal)])
                # A claim says no more than one of the same registers whose guard excuses less:
                # while that is kept, nothing is asked about it.
                guard = set(claim.guard)
                stronger[claim] = [other for other in same if guard.issuperset(other.guard)]
                stronger[claim].remove(claim)
        kept, broken = set(claims), []

        def implied(claim: Claim) -> bool:
            return not kept.isdisjoint(stronger[claim])

        def standing_of(same: list[Claim]) -> list[int]:
            return [assumed[c] for c in same if c.guard and c in kept and not implied(c)]

        # One after the other: what refutes a claim is mostly close to it. Where one falls, those
        # before it may have stood on it alone.
        settled = False
        standing = {pair: standing_of(same) for pair, same in of_pair.items()}
        while not settled and len(broken) <= MOST_BROKEN:
            settled = True
            for suspect in claims:
                while (
                    suspect in kept
                    and not implied(suspect)
                    and self.solve([failed[suspect], *chain.from_iterable(standing.values())])
                ):
                    if time.process_time() > ends:
                        return None, broken
                    settled = False
                    model = self.solver.get_model()
                    for pair, same in of_pair.items():
                        if model[differs[pair] - 1] < 0:
                            continue
                        fallen = [
                            claim
                            for claim in same
                            if claim in kept
                            and not any(
                                _true(model, self.after(literal)) for literal in claim.guard
                            )
                        ]
                        if fallen:
                            kept.difference_update(fallen)
                            standing[pair] = standing_of(same)
                            broken += (claim for claim in fallen if not claim.guard)
                if time.process_time() > ends:
                    return None, broken
        self.assumed = {claim: assumed[claim] for claim in kept}
        return [claim for claim in claims if claim in kept], broken

    def outputs_can_differ(self, claims: list[Claim]) -> bool:
        """Whether the output that says so can be high where claims that hold do."""
        assumptions = [self.assumed[claim] for claim in claims]
        return self.solve([self.now(self.circuit.outputs[DIFFERS]), *assumptions])


def _true(model: list[int], literal: int) -> bool:
    variable = abs(literal)
    known = variable <= len(model) and model[variable - 1] > 0
    return known == (literal > 0)
