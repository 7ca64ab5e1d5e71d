"""Collection of runs that shards have left in folders of their own."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from adq.golden.files.directory import staged_directory
from adq.verif.parallel.worker import ParallelError
from adq.verif.signoff.regression.models import Models
from adq.verif.signoff.regression.regression import Regression
from adq.verif.signoff.regression.runs import Record, Run, State, read_record

__all__ = ["collect", "require_whole"]

SHOWN = 5
"""Missing runs that an error names."""


def collect(
    runs: Sequence[Run], models: Models, folders: Sequence[Path], out: Path
) -> tuple[Regression, dict[str, str]]:
    """Copy finished runs from folders to ``out``, and give what became of all runs.

    A run counts only if it has the design, the tests and the tools that are here.

    Returns
    -------
    regression : Regression
    missing : dict of str to str
        Ids of the runs that are in no folder, and why.

    Raises
    ------
    ParallelError
        If one of the folders is not there.
    """
    for folder in folders:
        if not folder.is_dir():
            raise ParallelError(f"{folder}: is no folder: give the --out of each shard")
    records: list[Record] = []
    missing: dict[str, str] = {}
    for run in runs:
        fingerprint = models.fingerprint_of(run)
        places = [folder / run.id for folder in (out, *folders)]
        found = [p for p in places if read_record(run, p, fingerprint) is not None]
        if not found:
            reasons = {reason for p in places if (reason := _why_not(p, fingerprint))}
            missing[run.id] = ", ".join(sorted(reasons)) or "in no folder"
            continue
        if found[0] != places[0]:
            with staged_directory(places[0]) as scratch:
                shutil.copytree(found[0], scratch, dirs_exist_ok=True)
                shutil.rmtree(places[0], ignore_errors=True)
                scratch.rename(places[0])
        record = read_record(run, places[0], fingerprint)
        assert record is not None
        records.append(record)
    return Regression(records, [run for run in runs if run.id in missing]), missing


def _why_not(place: Path, fingerprint: str) -> str:
    """Return why what lies in a place is no finished run of ours; "" where nothing is."""
    try:
        document = json.loads((place / "run.json").read_text(encoding="utf-8"))
        if document["fingerprint"] != fingerprint:
            return "of another version of the design, the tests or the tools"
        state = State(document["state"])
    except OSError:
        return "half-written" if place.is_dir() else ""
    except (ValueError, KeyError, TypeError):
        return "half-written"
    return "damaged" if state.finished else f"{state.value}, or cut off"


def require_whole(missing: dict[str, str], total: int) -> None:
    """Refuse a collection that lacks runs.

    Raises
    ------
    ParallelError
        Which names the first of them.
    """
    if not missing:
        return
    some = "; ".join(f"{name} ({reason})" for name, reason in [*missing.items()][:SHOWN])
    more = f"; and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    raise ParallelError(
        f"{len(missing)} of {total} runs are not there: {some}{more}: run their shards again, or "
        "the same command without --collect, which runs what is missing"
    )
