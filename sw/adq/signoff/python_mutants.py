"""Mutants of the integer reference and of the numeric code, made and run by mutmut.

mutmut names a module by its path, so that the package is copied to ``src/adq`` of a folder, links
followed. It mutates there, and remembers what it has done.
"""

import hashlib
import json
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adq.files import write_json, write_text
from adq.shipped import install_command
from adq.verif.processes import Processes, run_to_end
from adq.verif.sources import CHECKOUT

__all__ = ["MODULES", "PythonMutant", "PythonMutantError", "by_module", "run_mutmut"]

ROOT = CHECKOUT

MODULES = {
    "adq.golden.requantize": "src/adq/golden/requantize.py",
    "adq.golden.integer_network": "src/adq/golden/integer_network.py",
    "adq.golden.mapping.mapper": "src/adq/golden/mapping/mapper.py",
    "adq.golden.formats": "src/adq/golden/formats.py",
    "adq.quantization.integers": "src/adq/quantization/integers.py",
    "adq.quantization.multipliers": "src/adq/quantization/multipliers.py",
    "adq.quantization.quantizers": "src/adq/quantization/quantizers.py",
}
"""Modules that are mutated, and their places in the folder."""

TESTS = (
    "golden/test_integer_network",
    "golden/test_mapper",
    "golden/test_network",
    "golden/test_requantize",
    "golden/test_utilization",
    "quantization/test_integers",
    "quantization/test_quantizers",
    "quantization/test_stages",
)
"""Tests of those modules themselves, which take seconds: a mutant that lives runs all of those that
reach it."""

COPIED = {
    "sw/adq": "src/adq",
    "tests": "tests",
    "golden/vectors": "golden/vectors",
    "configs": "configs",
}

MEMORY = "tests.json"
"""File that says under which tests mutants lived."""

CONFIGURATION = """\
[tool.pytest.ini_options]
addopts = "--import-mode=importlib -p no:cacheprovider -m 'not slow'"
markers = ["slow: takes minutes"]

[tool.mutmut]
source_paths = ["src/adq/golden", "src/adq/quantization"]
only_mutate = {modules}
also_copy = ["configs", "golden", "src"]
pytest_add_cli_args_test_selection = {tests}
# The texts of messages.
do_not_mutate_patterns = ['^\\s*f?"']
"""


class PythonMutantError(RuntimeError):
    """mutmut cannot be run, or breaks off."""


@dataclass(frozen=True)
class PythonMutant:
    """A mutant and its fate in mutmut's words: ``killed``, ``survived``, ``timeout``, ``no tests``,
    ``not checked`` and others.
    """

    name: str
    fate: str

    @property
    def module(self) -> str:
        """The module that is mutated."""
        return next(module for module in MODULES if self.name.startswith(f"{module}."))

    @property
    def killed(self) -> bool:
        """Return whether the tests notice, be it by an endless loop or a crash."""
        return self.fate in ("killed", "timeout", "segfault")


def run_mutmut(folder: Path, only: Sequence[str], *, processes: int) -> list[PythonMutant]:
    """Mutate in a folder, and run the tests that reach each mutant; what was done before counts as
    long as the function has not changed, and for those that lived, no test.

    Parameters
    ----------
    only
        Modules or functions; all of :data:`MODULES` where there are none.

    Raises
    ------
    PythonMutantError
        If mutmut is missing or breaks off.
    """
    program = Path(sys.executable).with_name("mutmut")
    if not program.exists():
        raise PythonMutantError(
            f"mutmut is not installed, which this command needs: {install_command('mutation')}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for source, place in COPIED.items():
        target = folder / place
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
    tests = [f"tests/{name}.py" for name in TESTS]
    text = CONFIGURATION.format(modules=list(MODULES.values()), tests=tests)
    write_text(folder / "pyproject.toml", text)
    # mutmut itself takes no notice of new tests.
    again = _to_try_again(program, folder)
    _mutmut(program, folder, processes, [f"{name}*" for name in only])
    if again and not only:
        _mutmut(program, folder, processes, again)
        _remember(folder, [])
    return read_results(program, folder)


def _mutmut(program: Path, folder: Path, processes: int, names: Sequence[str]) -> None:
    command = [str(program), "run", "--max-children", str(processes), *names]
    if Processes().run(command, cwd=folder):
        raise PythonMutantError(f"mutmut broke off in {folder}: its last lines say why")


def _to_try_again(program: Path, folder: Path) -> list[str]:
    """Return the mutants that lived under other tests than those that there are now."""
    try:
        before = json.loads((folder / MEMORY).read_text(encoding="utf-8"))
    except OSError:
        before = {"tests": "", "again": []}
    if before["tests"] == _digest(folder):
        return before["again"]
    told = read_results(program, folder)
    again = [mutant.name for mutant in told if not mutant.killed and mutant.fate != "not checked"]
    _remember(folder, again)
    return again


def _remember(folder: Path, again: list[str]) -> None:
    write_json(folder / MEMORY, {"tests": _digest(folder), "again": again})


def _digest(folder: Path) -> str:
    """Return the digest of all tests in a folder."""
    digest = hashlib.sha256()
    for file in sorted((folder / "tests").rglob("*.py")):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def read_results(program: Path, folder: Path) -> list[PythonMutant]:
    """Return the fates of all mutants, as mutmut tells them."""
    told = run_to_end([program, "results", "--all", "true"], directory=folder)
    mutants = []
    for line in told.stdout.splitlines():
        name, separator, fate = line.strip().rpartition(": ")
        if separator and "__mutmut_" in name:
            mutants.append(PythonMutant(name, fate))
    return mutants


def by_module(mutants: Sequence[PythonMutant]) -> dict[str, Counter]:
    """Count for each module how many mutants met each fate."""
    counts: dict[str, Counter] = {}
    for mutant in mutants:
        counts.setdefault(mutant.module, Counter())[mutant.fate] += 1
    return counts
