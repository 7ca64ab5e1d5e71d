"""Commands in processes of their own, and what they took."""

import json
import subprocess
import sys
from dataclasses import dataclass

__all__ = ["Used", "run"]

LAUNCHER = """
import json, os, subprocess, sys
process = subprocess.Popen(sys.argv[1:])
_, status, usage = os.wait4(process.pid, 0)
seconds = usage.ru_utime + usage.ru_stime
print(json.dumps([os.waitstatus_to_exitcode(status), seconds, usage.ru_maxrss]))
"""


@dataclass(frozen=True)
class Used:
    """Output of a command, and the time and memory that it used."""

    output: str
    cpu_seconds: float
    """Processor time of the process and its children, on all cores."""
    gibibytes: float
    """Largest resident memory."""


def run(command: list[str]) -> Used:
    """Run a command to its end.

    A small process starts it: Linux counts the memory of the process that starts a program as the
    program's own.

    Raises
    ------
    subprocess.CalledProcessError
        The command failed.

    """
    launch = [sys.executable, "-I", "-S", "-c", LAUNCHER, *command]
    ended = subprocess.run(launch, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    *lines, last = ended.stdout.decode().splitlines()
    status, seconds, kibibytes = json.loads(last)
    if status:
        raise subprocess.CalledProcessError(status, command)
    return Used("\n".join(lines), seconds, kibibytes / 2**20)
