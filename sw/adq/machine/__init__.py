"""What a machine needs for training and simulation: each tool, whether it works, what mends it.

A tool counts as working when it did a small piece of its real work here, not when a file of its
name exists: the compiler compiles, Perl loads the modules that Verilator's script needs.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from adq.machine import packages, system
from adq.machine.finding import Finding, Status

__all__ = ["Finding", "Status", "examine"]


def examine(build_folder: Path) -> list[Finding]:
    """Look at every tool, all at once; takes a second, and never more than about five.

    Parameters
    ----------
    build_folder
        Where models are compiled; need not exist yet.
    """
    checks: list[Callable[[], Finding]] = [
        system.check_python,
        system.check_venv,
        system.check_compiler,
        system.check_make,
        system.check_perl,
        system.check_zlib,
        packages.check_verilator,
        packages.check_cocotb,
        packages.check_libpython,
        packages.check_yosys,
        packages.check_amaranth,
        lambda: system.check_build_folder(build_folder),
        lambda: packages.check_training_package("torch"),
        lambda: packages.check_training_package("scikit-learn"),
    ]
    with ThreadPoolExecutor(len(checks)) as pool:  # they wait for other programs
        return list(pool.map(lambda check: check(), checks))
