"""Test that runs the cases of a file on the whole tile, each from reset."""

import os
import random
from pathlib import Path

import cocotb

from adq.verif.cocotb.tile.bench import TileBench
from adq.verif.operands.jobs import Job
from adq.verif.signoff.replay.cases import read_cases
from adq.verif.simulation.testpoints import shows

CASES = read_cases(Path(os.environ["ADQ_CASES"]))[0]


@shows("failures.small")
@cocotb.test()
@cocotb.parametrize(case=list(range(len(CASES))))
async def jobs(dut, case):
    """Run the jobs of a case, and compare every output of every vector with the product."""
    given = CASES[case]
    random.seed(given.seed)
    bench = TileBench(dut, idle=given.idle, stall=given.stall)
    await bench.start()
    await bench.check([job if isinstance(job, Job) else job.plan() for job in given.jobs])
