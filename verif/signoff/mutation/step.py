"""A cycle of a circuit, for a solver, and claims that hold from one to the next."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from pysat.solvers import Solver

from adq.verif.signoff.mutation.aiger import Aig
from adq.verif.signoff.mutation.comparison import DIFFERS, HOLDS

__all__ = ["Claim", "Step"]

MOST_BROKEN = 40
"""Claims that fail together before what is left is set up anew."""


@dataclass(frozen=True)
class Claim:
    """A register of the tile and its counterpart are equal, unless one of the guard's literals
    holds; always, where it has none.
    """

    right: int
    changed: int
    guard: tuple[int, ...] = ()


class Step:
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
            operands = self.circuit.ands[variable - first]
            self._is_and(variable + 1, [self._of(operand) for operand in operands])
        self.known |= new
        return self._of(literal)

    def later(self, literal: int) -> int:
        """A signal in the second cycle, of registers alone."""
        first = self.circuit.first_and
        for variable in sorted(self.circuit.cone([literal], but=self.soon.keys())):
            self.soon[variable] = self.new()
            operands = self.circuit.ands[variable - first]
            self._is_and(self.soon[variable], [self._soon(operand) for operand in operands])
        return self._soon(literal)

    def _is_and(self, own: int, operands: list[int]) -> None:
        for operand in operands:
            self.solver.add_clause([-own, operand])
        self.solver.add_clause([own, *(-operand for operand in operands)])

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
                stronger[claim] = [other for other in same if guard > set(other.guard)]
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
