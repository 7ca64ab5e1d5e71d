"""Programs that are started: they end with their parent, and after their time."""

import errno
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["Processes", "StoppedError", "end_with_parent", "limited", "run_to_end"]


_GUARD = """
import os, signal, subprocess, sys, threading

def watch(pipe):
    os.read(pipe, 1)
    os.killpg(0, signal.SIGKILL)

threading.Thread(target=watch, args=(int(sys.argv[1]),), daemon=True).start()
status = subprocess.call(sys.argv[2:])
if status < 0:
    signal.signal(-status, signal.SIG_DFL) if -status not in (9, 19) else None
    os.kill(os.getpid(), -status)
os._exit(status)
"""
"""Program that starts another: it waits for that program's end, or for that of the process at the
other end of a pipe, which the system closes however that process ends; then it ends all of its
session.
"""


class StoppedError(RuntimeError):
    """A program was ended, or not started, since all were told to stop."""


class Processes:
    """Programs under way, in sessions of their own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def check(self) -> None:
        """Raise a :class:`StoppedError` after :meth:`stop`."""
        if self._stopped:
            raise StoppedError("interrupted")

    def run(self, command: Sequence[str], *, timeout: float | None = None, **options: Any) -> int:
        """Run a program to its end and give its exit status.

        Raises
        ------
        FileNotFoundError
            If there is no such program.
        StoppedError
            After :meth:`stop`.
        subprocess.TimeoutExpired
            If it took more than ``timeout`` seconds; it has been killed.
        """
        with self._lock:
            self.check()
            if (
                shutil.which(command[0], path=(options.get("env") or os.environ).get("PATH"))
                is None
            ):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(command[0]))
            ours, theirs = os.pipe()
            guarded = [sys.executable, "-I", "-S", "-c", _GUARD, str(ours), *map(str, command)]
            try:
                process = subprocess.Popen(
                    guarded, start_new_session=True, pass_fds=(ours,), **options
                )
            except BaseException:
                os.close(theirs)
                raise
            finally:
                os.close(ours)
            self._processes.add(process)
        try:
            status = process.wait(timeout)
        except BaseException:
            _end(process, signal.SIGKILL)
            process.wait()
            raise
        finally:
            os.close(theirs)
            with self._lock:
                self._processes.discard(process)
        self.check()
        return status

    def stop(self) -> None:
        """End all of them, and start no more."""
        with self._lock:
            self._stopped = True
            for process in self._processes:
                _end(process, signal.SIGTERM)


def run_to_end(
    command: Sequence[str | Path | int], *, directory: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and give its exit status and what it printed.

    Unlike with ``subprocess.run``, the program and all that it starts end with this process.

    Raises
    ------
    FileNotFoundError
        If there is no such program.
    """
    words = [str(each) for each in command]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        status = Processes().run(words, cwd=directory, stdout=output, stderr=errors)

        def printed(file: BinaryIO) -> str:
            file.seek(0)
            return file.read().decode(errors="replace")

        return subprocess.CompletedProcess(words, status, printed(output), printed(errors))


def end_with_parent() -> None:
    """End this process once the one that started it by ``multiprocessing`` has ended.

    To be called first in each worker of a pool: a worker waits for work for ever, and does not
    notice that nobody is left to give it any.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:

        def watch() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()


def limited(command: Sequence[str], *, seconds: int) -> list[str]:
    """Return a command that runs another, each process of which may take so many seconds of a
    processor.

    The limit does not depend on the load of the machine; a process that reaches it is killed. In
    the end a file ``cpu`` in the current folder holds what ``times`` says of the shell and of all
    that it started.
    """
    script = f'ulimit -t {seconds}; "$@"; status=$?; times > cpu; exit $status'
    return ["sh", "-c", script, "sh", *command]


def _end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    if process.poll() is None:
        os.killpg(process.pid, how)
