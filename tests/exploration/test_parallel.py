"""Parallel work: the same results from threads, processes, a cluster and shards, come what may."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adq.golden.files.locks import locked, waiting
from adq.rtl.parameters import TileParameters
from adq.verif.parallel.folders import read_folder, write_folder
from adq.verif.parallel.pool_choice import pool_of
from adq.verif.parallel.pools import Away, Task
from adq.verif.parallel.shards import Shard
from adq.verif.parallel.worker import ParallelError, difference, identity, perform
from adq.verif.processes import Processes, StoppedError
from adq.verif.signoff.regression.collecting import collect, require_whole
from adq.verif.signoff.regression.regression import run_all
from adq.verif.signoff.regression.runs import Bench, Record, Run, State
from adq.verif.simulation import simulator
from adq.verif.tasks import side_by_side
from tests.places import MODELS

pytestmark = pytest.mark.testpoint("regressions.end")

JOBS = '''
import os, time
from pathlib import Path


def square(programs, number):
    return number * number


def first_dies(programs, mark, number):
    """Kill the worker that comes first to the number 3."""
    if number == 3:
        try:
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return number * number
        os._exit(9)
    return number * number


def always_dies(programs):
    os._exit(9)


def sleep(programs, mark):
    programs.run(["sh", "-c", f"echo $$ > {mark}.part; mv {mark}.part {mark}; exec sleep 300"])
'''


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """A module that workers can import."""
    (tmp_path / "stub_jobs.py").write_text(JOBS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "stub_jobs", raising=False)
    import stub_jobs

    return stub_jobs


def numbers_by(pool, function, *arguments, count=8) -> dict[str, object]:
    tasks = [
        Task(str(number), away=Away(function, (*arguments, number))) for number in range(count)
    ]
    return dict(side_by_side(tasks, pool))


SQUARES = {str(number): number * number for number in range(8)}


def test_threads_and_processes_give_the_same(jobs):
    with pool_of(workers=2, processes=Processes()) as pool:
        assert numbers_by(pool, jobs.square) == SQUARES
    with pool_of(workers=2) as pool:
        assert numbers_by(pool, jobs.square) == SQUARES


def test_the_work_of_a_process_that_dies_is_done_by_others(jobs, tmp_path):
    with pool_of(workers=2) as pool:
        assert numbers_by(pool, jobs.first_dies, str(tmp_path / "mark")) == SQUARES
    assert (tmp_path / "mark").exists()


def test_work_that_always_kills_its_process_is_an_error(jobs):
    with (
        pytest.raises(ParallelError, match=r"deadly: its worker has died 3 times: .*memory"),
        pool_of(workers=1) as pool,
    ):
        list(side_by_side([Task("deadly", away=Away(jobs.always_dies, ()))], pool))


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def lives(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


def test_programs_end_with_the_process_that_asked_for_them_to_be_started(jobs, tmp_path):
    """Also those of workers, if their parent is killed and cannot tell anybody."""
    script = (
        "import sys, stub_jobs\n"
        "from adq.verif.parallel.pools import Away, Task\n"
        "from adq.verif.parallel.pool_choice import pool_of\n"
        "from adq.verif.tasks import side_by_side\n"
        "if __name__ == '__main__':\n"
        "    with pool_of(workers=1) as pool:\n"
        "        list(side_by_side([Task('a', away=Away(stub_jobs.sleep, (sys.argv[1],)))], pool))"
    )
    (tmp_path / "parent.py").write_text(script)
    mark = tmp_path / "child"
    with subprocess.Popen([sys.executable, tmp_path / "parent.py", mark]) as parent:
        wait_for(mark.exists)
        child = int(mark.read_text())
        assert lives(child)
        parent.send_signal(signal.SIGKILL)
    wait_for(lambda: not lives(child))


def test_what_a_pool_of_processes_runs_ends_when_it_is_stopped(jobs, tmp_path):
    mark = tmp_path / "child"
    with pool_of(workers=1) as pool:
        future = pool.begin(Task("a", away=Away(jobs.sleep, (str(mark),))))
        wait_for(mark.exists)
        pool.stop()
        with pytest.raises(Exception, match="terminated abruptly"):
            future.result(30)
    wait_for(lambda: not lives(int(mark.read_text())))


# A cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A Dask cluster of two workers, which can import the stub jobs."""
    distributed = pytest.importorskip("distributed")
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "stub_jobs.py").write_text(JOBS)
    sys.path.insert(0, str(folder))  # which processes that are spawned get, too
    try:
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
        ) as found:
            yield found
    finally:
        sys.path.remove(str(folder))


def test_a_cluster_gives_the_same_also_where_a_worker_is_killed(jobs, cluster, tmp_path):
    with pool_of(cluster.scheduler_address) as pool:
        assert pool.workers == 2
        assert numbers_by(pool, jobs.square) == SQUARES
        assert numbers_by(pool, jobs.first_dies, str(tmp_path / "mark")) == SQUARES
    assert (tmp_path / "mark").exists()


def test_programs_on_a_cluster_end_with_the_command_that_had_them_started(jobs, cluster, tmp_path):
    mark = tmp_path / "child"
    deadline = time.monotonic() + 60
    with pool_of(cluster.scheduler_address) as pool:
        tasks = [Task("a", away=Away(jobs.sleep, (str(mark),)))]
        tasks += [Task("b", lambda: wait_for(mark.exists) or "seen")]
        results = side_by_side(tasks, pool, deadline=deadline, ends=lambda result: True)
        assert next(results) == ("b", "seen")
        child = int(mark.read_text())
        assert lives(child)
        results.close()
        wait_for(lambda: not lives(child))
    with pool_of(cluster.scheduler_address) as pool:  # another command's work goes on
        assert numbers_by(pool, jobs.square) == SQUARES


def test_workers_of_another_version_are_refused(jobs, cluster, monkeypatch):
    from adq.verif.parallel import cluster as boundary

    monkeypatch.setattr(boundary, "identity", lambda: identity() | {"amaranth": "0.1"})
    with (
        pytest.raises(ParallelError, match=r"another version \(amaranth .* there, 0.1 here\)"),
        pool_of(cluster.scheduler_address),
    ):
        pass


def test_a_task_for_another_version_is_refused(jobs):
    with pytest.raises(ParallelError, match=r"another version \(numpy .* there, 0 here\)"):
        perform("pool", identity() | {"numpy": "0"}, jobs.square, (1,))
    assert difference(identity(), identity()) == ""


def test_a_scheduler_that_is_not_there(monkeypatch):
    from adq.verif.parallel import cluster as boundary

    monkeypatch.setattr(boundary, "PATIENCE", 1)
    with (
        pytest.raises(ParallelError, match=r"tcp://127.0.0.1:9: no Dask scheduler answers"),
        pool_of("tcp://127.0.0.1:9"),
    ):
        pass


@pytest.mark.parametrize("address", ["local:0", "local", "127.0.0.1:8786", "tcp://host"])
def test_an_address_that_is_none(address):
    with pytest.raises(ParallelError, match="is no cluster: give the address"), pool_of(address):
        pass


# Shards


def test_every_item_is_in_one_shard():
    items = list(range(50))
    parts = [Shard(number, 16).of(items) for number in range(1, 17)]
    assert sorted(item for part in parts for item in part) == items
    assert max(map(len, parts)) - min(map(len, parts)) == 1
    assert Shard.parse("3/16").of(items) == [2, 18, 34]
    assert Shard.parse("").of(items) == items


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "-1/3", "a/b", "1/3/5"])
def test_a_shard_that_is_none(text):
    with pytest.raises(ParallelError, match=r"is no shard: .* such as 3/16"):
        Shard.parse(text)


TILE = TileParameters(rows=1, columns=16, row_blocks=1, partial_sums=0, vectors=3)

RUNS = [Run(bench=Bench.TILE, tile=TILE, seed=seed) for seed in range(1, 8)]

RESULTS = """<testsuites><testsuite tests="1" failures="0" errors="0">
<testcase classname="adq.verif.cocotb.tile.test_tile" name="extremes" time="0.5">
</testcase></testsuite></testsuites>"""


class StubModel:
    """Instead of a simulation, results that depend on the seed."""

    def run(self, module, *, directory, seed, **options):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "sim.log").write_text(f"seed {seed}\n")
        (directory / "functional.json").write_text(json.dumps({"bin": seed}))
        (directory / "results.xml").write_text(RESULTS)


class StubModels:
    """Models of which all are one."""

    cache, coverage = Path("none"), False

    def __init__(self, version="1"):
        self.processes = Processes()
        self.version = version

    def get(self, run):
        return StubModel()

    def fingerprint(self, model):
        return self.version

    def fingerprint_of(self, run):
        return self.version


def run_here(runs, out, models):
    with pool_of(workers=2, processes=models.processes) as pool:
        return run_all(runs, models, out, pool=pool)


def outcome(regression):
    return [
        (r.run.id, r.state, [test.name for test in r.tests], r.bins()) for r in regression.records
    ]


def shards_of(folder: Path, count=3) -> list[Path]:
    places = [folder / f"shard{number}" for number in range(1, count + 1)]
    for number, place in enumerate(places, 1):
        run_here(Shard(number, count).of(RUNS), place, StubModels())
    return places


def test_three_shards_collected_are_one_regression(tmp_path):
    models = StubModels()
    whole = run_here(RUNS, tmp_path / "whole", models)
    collected, missing = collect(RUNS, models, shards_of(tmp_path), tmp_path / "all")
    require_whole(missing, len(RUNS))
    assert outcome(collected) == outcome(whole)
    assert collected.bins() == whole.bins() == {"bin": sum(range(1, 8))}
    for run in RUNS:
        for name in ("sim.log", "functional.json", "results.xml"):
            there, here = (tmp_path / place / run.id / name for place in ("whole", "all"))
            assert there.read_text() == here.read_text()


def test_what_is_missing_is_named_and_the_rest_is_kept(tmp_path):
    places = shards_of(tmp_path)
    half = places[0] / RUNS[0].id / "run.json"
    half.write_text(half.read_text()[:100])
    (places[1] / RUNS[1].id / "run.json").unlink()
    Record(RUNS[2], places[2] / RUNS[2].id, "1", State.RUNNING).write()
    Record(RUNS[3], places[0] / RUNS[3].id, "2", State.PASSED).write()
    models = StubModels()
    collected, missing = collect(RUNS, models, places, tmp_path / "all")
    assert missing == {
        RUNS[0].id: "half-written",
        RUNS[1].id: "half-written",
        RUNS[2].id: "running, or cut off",
        RUNS[3].id: "of another version of the design, the tests or the tools",
    }
    assert [record.run for record in collected.records] == RUNS[4:]
    assert collected.not_run == RUNS[:4]
    with pytest.raises(ParallelError, match=r"4 of 7 runs are not there: .*\(half-written\)"):
        require_whole(missing, len(RUNS))
    with pool_of(workers=1, processes=models.processes) as pool:  # what is missing is run
        again = run_all(RUNS, models, tmp_path / "all", pool=pool, again=False)
    assert {record.state for record in again.records} == {State.PASSED}


def test_a_folder_of_shards_that_is_not_there(tmp_path):
    with pytest.raises(ParallelError, match="gone: is no folder: give the --out of each shard"):
        collect(RUNS, StubModels(), [tmp_path / "gone"], tmp_path / "all")


# Models


def test_a_model_that_several_want_at_once_is_built_once(tmp_path, monkeypatch):
    built = []

    def compile_model(runner, directory, *rest):
        built.append(directory)
        time.sleep(0.3)
        directory.mkdir()

    monkeypatch.setattr(simulator, "_compile", compile_model)
    recipe = {"top": "tile", "ports": ["clk"], "sources": {"tile.v": "module tile; endmodule"}}
    with ThreadPoolExecutor(3) as pool:
        models = [*pool.map(lambda _: simulator.build(tmp_path, **recipe), range(3))]
    assert len(built) == 1
    assert {model.directory for model in models} == set(built)
    assert simulator.model_directory(tmp_path, **recipe) == built[0]
    for other in ({"fst": True}, {"long_runs": True}):
        assert simulator.model_directory(tmp_path, **recipe, **other) != built[0]


def test_waiting_for_a_model_ends_when_all_are_told_to_stop(tmp_path):
    processes = Processes()
    processes.stop()
    with (
        locked(tmp_path / "model"),
        pytest.raises(StoppedError),
        waiting(tmp_path / "model", processes.check),
    ):
        pass
    with waiting(tmp_path / "model", processes.check):  # free: there is nothing to wait for
        pass


# Files on their way


def test_files_come_as_they_were_and_nowhere_else(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "sim.log").write_bytes(b"\x00\xff")
    files = read_folder(tmp_path / "a")
    write_folder(tmp_path / "b", files)
    assert read_folder(tmp_path / "b") == {"sim.log": b"\x00\xff"}
    for name in ("../x", "/tmp/x", "a/b", "..", ""):
        with pytest.raises(ValueError, match="no name of a file"):
            write_folder(tmp_path / "c", {name: b""})


def test_what_was_told_to_stop_starts_nothing(jobs):
    from adq.verif.parallel.worker import end_programs

    end_programs("stopped")
    with pytest.raises(StoppedError):
        perform("stopped", identity(), jobs.sleep, ("unused",))


@pytest.mark.slow
def test_a_regression_on_a_cluster_is_that_of_this_process(tmp_path):
    """Tests of the smallest tile run here, and on two workers, one of which is killed."""
    import threading

    import distributed

    from adq.verif.signoff.regression.models import Models

    cache = MODELS
    runs = RUNS[:4]
    models = Models(cache, Processes())
    here = run_here(runs, tmp_path / "here", models)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as cluster:
        victim = next(iter(cluster.workers.values())).process.process.pid
        timer = threading.Timer(2, os.kill, (victim, signal.SIGKILL))
        timer.start()
        with pool_of(cluster.scheduler_address) as pool:
            there = run_all(runs, models, tmp_path / "there", pool=pool)
        timer.join()
    assert outcome(there) == outcome(here)
    assert {record.state for record in there.records} == {State.PASSED}
    for run in runs:
        assert (tmp_path / "there" / run.id / "sim.log").exists()
