"""Checks the test plan against the tests, proofs and bins that exist."""

from collections.abc import Iterator

from adq.verif.signoff.plan.markers import Marker
from adq.verif.signoff.plan.testplan import TestPlan, TestPlanError, matching
from adq.verif.simulation.functional_coverage import GROUPS, bin_names

__all__ = ["check", "proof_names"]


def proof_names() -> list[str]:
    """Return the names of all proofs."""
    from adq.verif.signoff.formal.catalog import PROOFS

    return [proof.name for proof in PROOFS]


def check(plan: TestPlan, proofs: list[str] | None = None) -> None:
    """Check a plan against the tests, bins and proofs that exist.

    Raises
    ------
    TestPlanError
        If a test, proof or group of bins has no testpoint, a testpoint has nothing that shows it,
        or a name does not exist. The message has a line for each.
    """
    proofs = proof_names() if proofs is None else proofs
    names = [point.name for point in plan.testpoints]
    problems = [
        *_wrong_markers(plan, set(names)),
        *_wrong_names(plan, proofs),
        *(f"testpoint {name}: there are two" for name in names if names.count(name) > 1),
    ]
    if problems:
        raise TestPlanError("\n".join(f"test plan: {p}" for p in dict.fromkeys(problems)))


def _wrong_markers(plan: TestPlan, names: set[str]) -> Iterator[str]:
    markers: dict[str, Marker | None] = dict(plan.cocotb_tests)
    for name, file in plan.pytest_files.items():
        if file.marker is not None:
            markers[name] = file.marker
        elif file.of_contract:
            markers |= {f"{name}::{test}": file.marked.get(test) for test in sorted(file.tests)}
        markers |= {f"{name}::{test}": marker for test, marker in file.marked.items()}
    for test, marker in markers.items():
        if marker is None or not (marker.testpoints or marker.reason.strip()):
            yield f"{test} names no testpoint, and no reason why"
            continue
        for point in marker.testpoints:
            if point not in names:
                yield f"{test}: there is no testpoint {point}"


def _wrong_names(plan: TestPlan, proofs: list[str]) -> Iterator[str]:
    for point in plan.testpoints:
        where = f"testpoint {point.name}"
        for pattern in point.proofs:
            if not matching(pattern, proofs):
                yield f"{where}: there is no proof {pattern}"
        for name in point.bins:
            if name not in GROUPS:
                yield f"{where}: there is no group of bins {name}"
        if not (point.tests or point.pytest or point.proofs):
            yield f"{where}: nothing shows it: mark a test or name a proof"
    shown = {
        name
        for point in plan.testpoints
        for pattern in point.proofs
        for name in matching(pattern, proofs)
    }
    yield from (f"proof {name} has no testpoint" for name in proofs if name not in shown)
    binned = {name for point in plan.testpoints for name in point.bins}
    yield from (f"group of bins {name} has no testpoint" for name in GROUPS if name not in binned)
    for network in plan.networks:
        for pattern in network.missing(bin_names()):
            yield f"networks {network.artifact}: there is no bin {pattern}"
