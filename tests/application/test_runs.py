"""Runs side by side, ended in between, and without room."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adq.cli.application import main
from adq.files import write_json
from adq.golden.artifact import read_artifact
from adq.golden.files.directory import scratch_directory
from adq.golden.files.locks import LockError, locked
from adq.rtl.parameters import TileParameters
from adq.verif.processes import Processes, run_to_end
from adq.verif.simulation import network_simulation
from adq.verif.simulation.simulator import SimulationError, build
from tests.places import ROOT

pytestmark = pytest.mark.testpoint("runs.apart")

MIXED = ROOT / "golden" / "vectors" / "digits" / "mixed"


def adq(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def python(code, *arguments, **options):
    """Start a process of its own that can import the package."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


HOLD = """
import sys, time
from pathlib import Path
from adq.golden.files.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def held(tmp_path):
    """A folder that another process holds, and that process."""
    folder = tmp_path / "out"
    folder.mkdir()
    process = python(HOLD, folder)
    assert process.stdout.readline() == "held\n"
    yield folder, process
    process.kill()
    process.communicate()


# Locks


def test_a_place_is_locked_while_its_process_lives(held):
    folder, process = held
    with pytest.raises(LockError) as error, locked(folder):
        pass
    said = str(error.value)
    assert said.startswith(f"{folder}: process {process.pid} (-c {folder}) is writing there: ")
    process.kill()
    process.wait()
    with locked(folder):
        assert (folder.parent / ".out.lock").exists()
    assert sorted(path.name for path in folder.parent.iterdir()) == ["out"]


def test_a_lock_in_one_process_is_one_lock(tmp_path):
    with locked(tmp_path / "out"), pytest.raises(LockError), locked(tmp_path / "out"):
        pass
    with locked(tmp_path / "out"), locked(tmp_path / "other"):
        pass


@pytest.mark.parametrize(
    "command",
    [
        ["sim", MIXED],
        ["activity", MIXED],
        ["train", ROOT / "configs" / "train" / "digits.toml"],
        ["train", ROOT / "configs" / "train" / "digits.toml", "--resume"],
        ["train", ROOT / "configs" / "train" / "digits.toml", "--overwrite"],
        ["dev", "regress", MIXED],
        ["dev", "formal"],
    ],
    ids=lambda command: " ".join(map(str, [*command[:1], *command[2:]])),
)
def test_the_second_of_two_commands_into_one_folder_is_refused(held, command):
    folder, process = held
    result = adq(*command, "--out", folder)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: {folder}: process {process.pid} (")
    assert line.endswith("is writing there: wait for its end, or choose another --out")
    assert not list(folder.iterdir())


def test_a_command_that_writes_one_file_whole_needs_no_lock(held):
    folder, _ = held
    assert adq("map", MIXED, "--out", folder).exit_code == 0


# Where nothing can be written


@pytest.mark.parametrize("command", ["sim", "activity", "map", "verify", "energy", "dev regress"])
@pytest.mark.parametrize("out", ["/proc/adq-test", "file/below"])
def test_a_place_that_cannot_be_written_is_found_before_any_work(
    command, out, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    for worker in ("adq.simulation.simulate_networks", "adq.golden.artifact.read_artifact"):
        monkeypatch.setattr(worker, lambda *_, **__: pytest.fail("it works already"))
    result = adq(*command.split(), MIXED, "--out", out, "--tile", ROOT / "configs/tile/64x64.toml")
    if command == "verify":
        result = adq(command, MIXED, "--out", out)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: {out}: ")
    assert "check the path, its permissions and free space" in line


def test_a_command_that_fails_leaves_no_empty_folder(tmp_path):
    assert adq("verify", tmp_path / "nowhere", "--out", tmp_path / "a" / "b").exit_code == 2
    assert not list(tmp_path.iterdir())


FULL = """
import resource, signal, sys
from pathlib import Path
import torch
from adq.runs.checkpoint import Checkpoint
from adq.cli.application import explain
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
fields = dict.fromkeys(("network", "recipe", "input_shape", "classes", "channels", "bits",
    "densities", "epoch", "history", "controller", "seconds", "progress"))
try:
    Checkpoint(state={"w": torch.ones(10**6)}, **fields).save(Path(sys.argv[1]) / "checkpoint.pt")
except Exception as error:
    print(explain(error))
"""


def test_a_full_disk_in_training_is_one_line(tmp_path):
    pytest.importorskip("torch", reason="checkpoints need the extra train")
    (tmp_path / "checkpoint.pt").write_bytes(b"older")
    said, problems = python(FULL, tmp_path).communicate()
    assert said.startswith(f"{tmp_path / 'checkpoint.pt'}: File too large: check"), problems
    assert said.endswith("and free space\n")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"older"]


@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o600), (0o027, 0o640), (0o022, 0o644)])
def test_files_have_the_permissions_that_the_user_gives_new_files(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_json(tmp_path / "a.json", {})
        with scratch_directory(tmp_path, "b") as scratch:
            assert scratch.stat().st_mode & 0o777 == 0o777 & ~mask
    finally:
        assert os.umask(before) == mask
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == mode


FEW = """
import contextlib, resource, sys
from adq.cli import application

def limit(*_):
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    return contextlib.nullcontext()

application._output = limit  # the last that is called before the command itself
application.main(["verify", sys.argv[1]])
"""


def test_too_few_open_files_are_one_line():
    process = python(FEW, MIXED)
    said, problems = process.communicate()
    assert (process.returncode, said) == (2, "")
    (line,) = problems.splitlines()
    assert line.startswith("error: ")
    assert line.endswith(": Too many open files: check the path, its permissions and free space")


@pytest.mark.parametrize("limit", [6, 7])
def test_with_few_open_files_everything_runs_or_nothing_is_told(limit, tmp_path):
    """How many files the implementations need, and which of them need most, differs by machine."""
    done = subprocess.run(
        [sys.executable, "-m", "adq", "verify", str(MIXED), "--out", str(tmp_path / "out")],
        cwd=ROOT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    if done.returncode:
        assert done.returncode == 2, done.stderr
        assert "Too many open files" in done.stderr.splitlines()[-1]
        assert "agree" not in done.stdout
        assert not (tmp_path / "out").exists()
        return
    [path] = (tmp_path / "out").rglob("*.json")
    found = json.loads(path.read_text())
    ran = [result["implementation"] for result in found["results"]]
    assert sorted([*ran, *found["not_run"]]) == ["numpy", "onnx", "qonnx"]
    assert f"All integers agree: {', '.join(ran)}." in done.stdout
    assert all("is not installed" in why for why in found["not_run"].values())
    # Integers of this artifact, counted by hand from its shapes: 18,476 of 4 images.
    for result in found["results"]:
        assert sum(node["integers"] for node in result["nodes"]) == 18476


def test_the_line_of_too_few_open_files_names_the_file():
    from adq.cli.application import explain

    said = explain(OSError(24, "Too many open files", "some/file"))
    assert said is not None
    assert said.startswith("some/file: Too many open files: check")


# Programs that are started


CHILDREN = """
import sys
from adq.rtl.parameters import TileParameters
from adq.verif.processes import Processes
Processes().run(["sh", "-c", "sleep 600 & echo $$ $! > children; wait"], cwd=sys.argv[1])
"""


def wait_for(condition, what):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail(what)


def lives(process):
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_programs_end_with_the_process_that_started_them(tmp_path):
    parent = python(CHILDREN, tmp_path)
    wait_for(lambda: (tmp_path / "children").exists(), "nothing was started")
    wait_for(lambda: (tmp_path / "children").read_text().endswith("\n"), "nothing was started")
    children = [int(each) for each in (tmp_path / "children").read_text().split()]
    assert all(map(lives, children))
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    wait_for(lambda: not any(map(lives, children)), "children live on")


POOL = """
import multiprocessing, os, sys, time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from adq.verif.processes import end_with_parent

def work(folder):
    Path(folder, "children").write_text(f"{os.getpid()}\\n")

if __name__ == "__main__":
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, initializer=end_with_parent) as pool:
        pool.submit(work, sys.argv[1]).result()
        time.sleep(600)
"""


def test_workers_of_a_pool_end_with_the_process_that_started_them(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(POOL)
    parent = subprocess.Popen([sys.executable, str(script), str(tmp_path)], cwd=ROOT)
    wait_for(lambda: (tmp_path / "children").exists(), "nothing was started")
    wait_for(lambda: (tmp_path / "children").read_text().endswith("\n"), "nothing was started")
    child = int((tmp_path / "children").read_text())
    assert lives(child)
    parent.kill()
    parent.wait()
    wait_for(lambda: not lives(child), "a worker lives on")


def test_what_a_program_prints_comes_back_with_its_exit_status(tmp_path):
    script = "echo said; echo wrong >&2; printf '\\377'; pwd; exit 3"
    ended = run_to_end(["sh", "-c", script], directory=tmp_path)
    assert ended.returncode == 3
    assert ended.stdout == f"said\n\ufffd{tmp_path}\n"
    assert ended.stderr == "wrong\n"
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        run_to_end([tmp_path / "no-such-program"])


def test_no_program_is_started_without_a_guard():
    """``subprocess.run`` leaves programs behind where this process is killed."""
    quick = {
        "sw/adq/machine/__init__.py",  # each answers in a second, or is ended
        "sw/adq/signoff/report/content.py",  # git
        "verif/processes.py",
    }
    found = set()
    for room in ("golden", "rtl", "verif", "sw/adq"):
        for path in (ROOT / room).rglob("*.py"):
            calls = re.search(r"subprocess\.(run|Popen|call|check_\w+)\(", path.read_text())
            name = path.relative_to(ROOT).as_posix()
            if calls and not name.startswith(("verif/bench", "sw/adq/benchmarks")):
                found.add(name)
    assert found <= quick


def test_the_exit_status_of_a_program_comes_back(tmp_path):
    run = Processes().run
    assert run(["true"]) == 0
    assert run(["sh", "-c", "exit 7"]) == 7
    assert run(["sh", "-c", "kill -9 $$"]) == -signal.SIGKILL
    assert run(["sh", "-c", "kill -15 $$"]) == -signal.SIGTERM
    with (tmp_path / "out").open("w") as out:
        run(["sh", "-c", "echo said; pwd"], stdout=out, cwd=tmp_path)
    assert (tmp_path / "out").read_text() == f"said\n{tmp_path}\n"
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        run(["no-such-program"])
    with pytest.raises(subprocess.TimeoutExpired):
        run(["sleep", "600"], timeout=0.2)


SCRATCH = """
import sys, time
from pathlib import Path
from adq.golden.files.directory import scratch_directory
with scratch_directory(Path(sys.argv[1]), "model") as scratch:
    (scratch / "file").touch()
    print(scratch, flush=True)
    time.sleep(600)
"""


def test_scratch_of_the_dead_is_removed_and_that_of_the_living_stays(tmp_path):
    dead, living = python(SCRATCH, tmp_path), python(SCRATCH, tmp_path)
    of_dead, of_living = (Path(each.stdout.readline().strip()) for each in (dead, living))
    dead.kill()
    dead.communicate()
    assert of_dead.exists()
    (tmp_path / ".model.named-by-the-user.tmp").mkdir()
    with scratch_directory(tmp_path, "model") as ours:
        assert ours.exists()
        assert not of_dead.exists()
        assert of_living.exists()
    living.kill()
    living.communicate()
    assert {path.name for path in tmp_path.iterdir()} == {
        of_living.name,
        ".model.named-by-the-user.tmp",
    }


def test_a_blank_in_the_path_is_said_at_once(tmp_path):
    with pytest.raises(SimulationError, match="GNU make cannot build a model in a folder with a"):
        build(tmp_path / "my models", top="top", ports=[], sources={"top.v": "module top;"})
    assert not list(tmp_path.iterdir())


# Simulations


@pytest.fixture
def simulated(monkeypatch, tmp_path):
    """Simulate into a folder, with a function in the place of the tile's model."""
    design = types.SimpleNamespace(bits={}, registers={})
    monkeypatch.setattr(network_simulation, "build_harness", lambda *_, **__: (None, design))
    target = tmp_path / "sim" / "0-mixed"
    artifact = read_artifact(MIXED)

    def run(play, images=1):
        monkeypatch.setattr(network_simulation, "_play", play)
        return network_simulation.simulate(
            MIXED, artifact, TileParameters(), images=images, directory=target, cache=tmp_path
        )

    run.target = target
    return run


def stand_in(*before):
    """A tile that hangs; it writes what it sees beside its log."""

    def play(_model, _design, _tile, _layers, directory, **_):
        seen = sorted(path.name for path in directory.iterdir())
        (directory / "sim.log").write_text(" ".join(seen))
        for call in before:
            call()
        return [], f"the tile hung; see {directory.resolve() / 'sim.log'}"

    return play


def test_a_simulation_replaces_the_files_of_the_one_before(simulated):
    for images in (1, 2):
        found = simulated(stand_in(), images)
        assert found.failure == f"the tile hung; see {simulated.target / 'sim.log'}"
        assert (simulated.target / "sim.log").read_text() == "layers"
        kept = json.loads((simulated.target / "network.json").read_text())
        assert (kept["images"], kept["failure"]) == (images, found.failure)
        (simulated.target / "of-the-run-before").touch()
    assert [path.name for path in simulated.target.parent.iterdir()] == ["0-mixed"]


def test_two_simulations_into_one_folder_never_see_each_other(simulated):
    def second():
        assert simulated(stand_in(), images=2).images == 2
        assert json.loads((simulated.target / "network.json").read_text())["images"] == 2

    assert simulated(stand_in(second), images=1).images == 1
    assert json.loads((simulated.target / "network.json").read_text())["images"] == 1
    assert [path.name for path in simulated.target.parent.iterdir()] == ["0-mixed"]


def test_an_interrupted_simulation_changes_nothing(simulated):
    simulated(stand_in(), images=2)

    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulated(stand_in(interrupt), images=1)
    assert json.loads((simulated.target / "network.json").read_text())["images"] == 2
    assert [path.name for path in simulated.target.parent.iterdir()] == ["0-mixed"]


def test_a_simulation_that_breaks_off_leaves_its_log_where_its_message_says(simulated):
    def broken(_model, _design, _tile, _layers, directory, **_):
        (directory / "sim.log").write_text("why")
        raise SimulationError(f"it broke off; see {directory / 'sim.log'}")

    with pytest.raises(SimulationError) as error:
        simulated(broken)
    assert Path(str(error.value).rpartition("see ")[2]).read_text() == "why"
    assert [path.name for path in simulated.target.parent.iterdir()] == ["0-mixed"]
