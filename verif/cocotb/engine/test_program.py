"""Test of the engine: the program of a network."""

import os
from pathlib import Path

import cocotb

from adq.golden.files.writing import write_json
from adq.golden.platform.program import Program
from adq.verif.cocotb.engine.bench import PLATFORM, EngineBench
from adq.verif.simulation.testpoints import shows


@shows("platform.engine")
@cocotb.test()
async def network(dut):
    """Run a network's program on its images, layer by layer.

    The program and the input memory are files; what was compared, and the cycles of each layer, are
    written beside them.
    """
    folder = Path(os.environ["ADQ_PROGRAM"])
    program = Program.read(folder / "network.program")
    assert program.platform == PLATFORM
    bench = EngineBench(dut, watched=False)
    await bench.start()
    await bench.run(program.memory, (folder / "inputs").read_bytes(), program.output_bytes)
    layers = [
        {"index": index, "first": first, "cycles": last - first, "waits": waits}
        for index, (first, last), waits in zip(bench.ran, bench.spans, bench.waits, strict=True)
    ]
    write_json(folder / "engine.json", {"integers": bench.integers, "layers": layers})
