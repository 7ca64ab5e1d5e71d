"""What is found of a tool, and how tools are asked."""

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

__all__ = ["PATIENCE", "Finding", "Status", "answer", "not_on_path", "older", "place"]

PATIENCE = 4.0
"""Seconds that a command may take to say its version or to compile two lines."""


class Status(StrEnum):
    """How a tool was found."""

    OK = "ok"
    MISSING = "missing"
    BROKEN = "broken"
    OPTIONAL_MISSING = "optional, missing"


@dataclass(frozen=True)
class Finding:
    """One tool of this machine."""

    tool: str
    status: Status
    found: str
    """Version and place, or what is wrong and where the tool was looked for."""
    mend: str | None = None
    """Command that mends it; none where nothing needs mending."""

    @property
    def prevents_simulation(self) -> bool:
        """Whether `make sim` cannot work before this is mended."""
        return self.status in (Status.MISSING, Status.BROKEN)


def older(found: str, oldest: str) -> bool:
    """Whether a version's leading numbers are below those of ``oldest``."""

    def release(text: str) -> list[int]:
        match = re.match(r"\d+(\.\d+)*", text)
        return [int(part) for part in match[0].split(".")] if match else []

    return release(found) < release(oldest)


def _complaint(text: str) -> str:
    """The line of a tool's error output that says most."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "")


def answer(
    command: Sequence[str | Path],
    *,
    stop_at: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[bool, str]:
    """Whether a command succeeds, and the first line that it prints or what it complains of.

    It is given ``PATIENCE``, and then stopped with all that it started. Where its error output
    opens with a line that has ``stop_at`` in it, it is stopped there with that line as answer.
    """
    name = Path(command[0]).name
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    except OSError as error:
        return False, f"{command[0]} cannot be started: {error.strerror}"
    timer = threading.Timer(PATIENCE, _stop, [process])
    timer.start()
    with process:
        try:
            opening = process.stderr.readline() if stop_at else ""
            if stop_at and stop_at in opening:
                return True, opening.strip()
            output, errors = process.communicate()
        finally:
            timer.cancel()
            _stop(process)
    if process.returncode == -signal.SIGKILL:
        return False, f"{name} gave no answer within {PATIENCE:.0f} s"
    if process.returncode:
        said = _complaint(opening + errors or output)
        return False, f"{name} ended with status {process.returncode}: {said}"
    return True, output.strip().partition("\n")[0]


def _stop(process: subprocess.Popen) -> None:
    if process.returncode is None:  # not waited for yet, so that its number is still its own
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def not_on_path(command: str) -> str:
    """What to say of a command that ``PATH`` does not lead to."""
    return f"no command {command} on PATH ({os.environ.get('PATH') or 'which is empty'})"


def place(path: str | Path) -> str:
    """A path as people like to read it: from the current folder where it lies below."""
    path = Path(path)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
