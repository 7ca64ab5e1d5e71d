"""A golden network on the tile: every matrix layer, every accumulator.

Activations go from layer to layer as the tile computed them: what a layer reads is requantized
from the accumulators that the tile gave for the layer before.
"""

import itertools
import json
import os
from pathlib import Path

import cocotb
import numpy as np
from cocotb.task import bridge, resume

from adq.golden import integer_network, mapper
from adq.golden.artifact import read_artifact
from adq.golden.nodes import MatrixLayer
from adq.rtl.parameters import TileParameters
from adq.verif.operands.jobs import layer_jobs, streams_of
from adq.verif.simulation.drivers.player import Player
from adq.verif.simulation.functional_coverage import JobSample
from adq.verif.simulation.sampling import sample


class TileRun:
    """Computes the matrix layers of a network on the tile, and keeps what each of them took."""

    def __init__(self, dut, specification: dict):
        self.tile = TileParameters(**specification["tile"])
        self.blocks = specification["blocks"]
        self.artifact = read_artifact(Path(specification["artifact"]))
        self.images = specification["images"]
        self.progress = Path(specification["progress"])
        # With every net counted, in windows that do not overlap.
        self.windows = specification["windows"]
        self.player = Player(dut, self.tile, words=2 * len(self.blocks), separate=self.windows)
        self.layers = []

    async def start(self):
        """Reset the tile."""
        await self.player.reset()
        if self.windows:
            Path("reset.counts").write_text(await self.player.dump())

    def accumulate(self, network, name: str, layer_input: np.ndarray) -> np.ndarray:
        """Accumulators of a node, bias included: from the tile where it is a matrix layer."""
        if not isinstance(network[name], MatrixLayer):
            return integer_network.accumulate(network, name, layer_input)
        return resume(self.multiply)(network, name, layer_input)

    async def multiply(self, network, name: str, layer_input: np.ndarray) -> np.ndarray:
        """Play a layer's jobs; compare its accumulators with the artifact's."""
        layer = network[name]
        matrix, weights = mapper.operands(network, name, layer_input)
        plan = mapper.plan_layer(network, name, len(matrix), self.tile)
        jobs = list(layer_jobs(plan, matrix, weights))
        played = await self.player.play(streams_of(self.tile, jobs))
        assert not any(status.value for status in played.results.status), "a job was refused"
        assert played.results.last.sum() == len(jobs), "a job has not one last result"
        outputs = played.results.outputs(plan.jobs[0].weight_bits)
        ends = np.cumsum([job.vector_count for job in plan.jobs])
        accumulators = mapper.assemble(plan, np.split(outputs, ends[:-1]))
        accumulators = accumulators + layer.bias.reshape(-1, *(1,) * (accumulators.ndim - 2))

        expected = self.artifact.samples.accumulators[name][: self.images]
        counts = [(played.switching >> (64 * i)) & (2**64 - 1) for i in range(2 * len(self.blocks))]
        formats = network.formats[layer.input]
        self.layers.append(
            {
                "name": name,
                "density": layer.density,
                "bits": layer.weight_bits,
                "weight_bits": layer.hardware_weight_bits,
                "activation_bits": formats.bits,
                "signed": formats.signed,
                "macs": network.macs(name),
                "jobs": len(jobs),
                "cycles": played.cycles,
                "accumulators": expected.size,
                "mismatches": int((accumulators != expected).sum()),
                "switching": {
                    block: {"toggles": counts[i], "clocked": counts[i + len(self.blocks)]}
                    for i, block in enumerate(self.blocks)
                },
            }
        )
        if self.windows:
            Path(f"{name}.counts").write_text(await self.player.dump())
        self.progress.write_text(name)
        if not self.layers[-1]["mismatches"]:
            for before, job in itertools.pairwise([None, *jobs]):
                bits = before and before.weight_bits
                sample(JobSample.of(job, before=bits).bins())
        return accumulators


@cocotb.test()
async def every_layer(dut):
    """Every accumulator of every convolution and linear layer equals the golden integers."""
    run = TileRun(dut, json.loads(os.environ["ADQ_NETWORK"]))
    await run.start()
    samples = run.artifact.samples
    inputs = samples.inputs[: run.images]
    trace = await bridge(integer_network.run)(run.artifact.network, inputs, compute=run.accumulate)
    summary = {
        "images": run.images,
        "layers": run.layers,
        "accumulators": sum(layer["accumulators"] for layer in run.layers),
        "mismatches": sum(layer["mismatches"] for layer in run.layers),
        "classes_that_differ": int((trace.classes != samples.classes[: run.images]).sum()),
        "correct": int((trace.classes == samples.labels[: run.images]).sum()),
    }
    Path("network.json").write_text(json.dumps(summary))
    assert not summary["mismatches"], f"{summary['mismatches']} accumulators differ"
    assert not summary["classes_that_differ"], f"{summary['classes_that_differ']} classes differ"
