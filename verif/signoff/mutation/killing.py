"""Runs mutants against tests of the regression, many in one simulation. Run by cocotb.

Each mutant is a cocotb test. In it the tests of the regression run one after the other, just as
they are, each with the seed that it has there, from its own reset on, until one fails.
"""

import hashlib
import json
import os
import random
from importlib import import_module
from pathlib import Path

import cocotb
from cocotb.regression import Test, TestGenerator
from cocotb.task import Task
from cocotb.triggers import Timer, with_timeout
from cocotb.utils import get_sim_time

CAMPAIGN = json.loads(Path(os.environ["ADQ_BATCH"]).read_text())
"""``modules`` of tests, ``select`` (the input), ``mutants`` (numbers), and of the tests, by name in
the order in which they run, the time in which each must be done: ``limits``. Without those all
tests run, and the time that each takes is what is found out."""


def _tests() -> list[Test]:
    found = []
    for name in CAMPAIGN["modules"]:
        for item in vars(import_module(name)).values():
            generated = item.generate_tests() if isinstance(item, TestGenerator) else [item]
            found += [test for test in generated if isinstance(test, Test) and not test.skip]
    return found


TESTS = {test.fullname: test for test in _tests()}
LIMITS = CAMPAIGN["limits"] or dict.fromkeys(TESTS)


class _Background:
    """Background coroutines of a test: records their first failure, and ends them with the test."""

    def __init__(self):
        self.tasks = []
        self.failure = ""

    def start(self, coroutine, **options):
        """Replace ``cocotb.start_soon``."""
        watched = coroutine if isinstance(coroutine, Task) else self.watched(coroutine)
        task = START_SOON(watched, **options)
        self.tasks.append(task)
        return task

    async def watched(self, coroutine):
        try:
            return await coroutine
        except Exception as error:
            self.failure = self.failure or _first_line(error)
            raise

    def stop(self):
        for task in self.tasks:
            task.cancel()


START_SOON = cocotb.start_soon


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _say(**outcome):
    """Append an outcome to the file that the campaign reads during the simulation."""
    with Path("outcomes.jsonl").open("a") as file:
        file.write(json.dumps(outcome) + "\n")


async def _run(test: Test, limit: float | None, background: _Background, dut):
    digest = hashlib.sha1(test.fullname.encode()).hexdigest()
    random.seed(SEED + int(digest, 16))
    cocotb.RANDOM_SEED = SEED + int(digest, 16)
    coroutine = background.watched(test.func(dut, *test.args, **test.kwargs))
    await (with_timeout(coroutine, limit, "ns") if limit else coroutine)
    background.stop()
    await Timer(1, "ns")


def _put_to_tests(number: int) -> Test:
    async def put_to_tests(dut):
        if Path("stop").exists():
            return
        select = getattr(dut, CAMPAIGN["select"])
        background = _Background()
        cocotb.start_soon = background.start
        times, name = {}, ""
        try:
            select.value = number
            for name, limit in LIMITS.items():
                started = get_sim_time("ns")
                await _run(TESTS[name], limit, background, dut)
                times[name] = get_sim_time("ns") - started
        except BaseException as error:  # what a test started fails, and cancels this
            _say(mutant=number, killed_by=name, message=background.failure or _first_line(error))
            if number == 0 or not isinstance(error, Exception):
                raise
            return
        finally:
            background.stop()
            cocotb.start_soon = START_SOON
        _say(mutant=number, killed_by=None, message="", times=times)

    return cocotb.test(name=f"mutant_{number}")(put_to_tests)


SEED = cocotb.RANDOM_SEED
for _place, _number in enumerate(CAMPAIGN["mutants"]):
    globals()[f"test_{_place}"] = _put_to_tests(_number)
