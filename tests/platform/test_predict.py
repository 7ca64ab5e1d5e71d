"""Predictions of the platform's RTL with a host in C++: against the integer network."""

import dataclasses
import json
import os

import numpy as np
import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.golden.artifact import read_artifact
from adq.golden.conversion import converted
from adq.golden.network import ActivationFormat
from adq.golden.platform.emission import emit
from adq.golden.platform.host import input_memory
from adq.golden.platform.planning.planner import plan
from adq.golden.samples import Artifact, Samples
from adq.rtl.platform.parameters import PlatformParameters
from adq.verif.simulation.program_runs.compiled import CompiledHost
from adq.verif.simulation.program_runs.prediction import predict
from adq.verif.simulation.simulator import SimulationError
from tests.golden_networks import NetworkBuilder, random_inputs
from tests.places import MODELS, ROOT

pytestmark = pytest.mark.testpoint("platform.host")


SMALL = PlatformParameters(
    rows=16,
    columns=16,
    plane_memory_kib=1,
    accumulator_vectors=16,
    requantizers=2,
    weight_buffer_kib=1,
)
"""The platform of `tests/platform/test_host.py`, so that it is compiled once."""


@pytest.fixture(scope="module")
def host():
    return CompiledHost(SMALL, MODELS)


@pytest.fixture(scope="module")
def artifact():
    """A residual network with pooling, and seven images."""
    builder = NetworkBuilder(np.random.default_rng(7), (2, 5, 5),
                             ActivationFormat(bits=3, signed=False, scale=1.0))  # fmt: skip
    builder.conv(4, (3, 3), (1, 1), (1, 1))
    builder.residual()
    builder.max_pool((2, 2), (2, 2), (0, 0))
    network = builder.network(classes=3)
    inputs = random_inputs(network, np.random.default_rng(8), 7)
    samples = Samples.record(network, inputs, None)
    made = Artifact(network=network, samples=samples, generator={"name": "t", "version": "1"})
    return converted(made).artifact


def test_classes_are_those_of_the_integer_network(artifact, host):
    done = []
    found = predict(artifact, host, images=7, batch=2, processes=2, progress=done.append)
    assert (found.images, found.differing, found.runs, found.processes) == (7, 0, 2, 2)
    assert sorted(done) in ([3, 7], [4, 7])
    (logits,) = found.outputs.values()
    assert (logits == np.asarray(artifact.samples.logits)).all()
    causes = {name: count for name, count in found.counters.items()
              if name not in ("cycles", "read_beats", "write_beats")}  # fmt: skip
    assert sum(causes.values()) == found.counters["cycles"]


def test_a_slow_memory_costs_cycles_and_no_integer(artifact, host, tmp_path):
    made = plan(artifact.network, SMALL, batch=2)
    program = emit(made, 2)
    inputs = input_memory(program, np.asarray(artifact.samples.inputs[:2]))
    runs = [
        host.run(program, inputs, tmp_path / str(latency), patience=10**6, latency=latency)
        for latency in (1, 200)
    ]
    assert (runs[0].outputs == runs[1].outputs).all()
    assert runs[1].counters["cycles"] > runs[0].counters["cycles"] + 200
    assert runs[1].counters["planes"] == runs[0].counters["planes"]


def test_a_program_that_is_stopped_and_one_that_does_not_end(artifact, host, tmp_path):
    made = plan(artifact.network, SMALL, batch=2)
    program = emit(made, 2)
    inputs = input_memory(program, np.asarray(artifact.samples.inputs[:2]))
    with pytest.raises(SimulationError, match="no interrupt in 100 cycles"):
        host.run(program, inputs, tmp_path, patience=100)
    damaged = bytearray(program.memory)
    damaged[64] |= 15  # the operation of the second descriptor
    object.__setattr__(program, "memory", bytes(damaged))
    with pytest.raises(SimulationError, match="DESCRIPTOR: descriptor 1, field operation"):
        host.run(program, inputs, tmp_path, patience=10**6)


def test_more_threads_than_processors_are_refused():
    processors = len(os.sched_getaffinity(0))
    with pytest.raises(SimulationError, match=f"and {processors} can be used here"):
        CompiledHost(SMALL, MODELS, threads=processors + 1)


@pytest.mark.slow
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="a processor for each thread")
def test_threads_share_a_simulation(artifact, host):
    shared = CompiledHost(SMALL, MODELS, threads=2)
    assert shared.model.directory != host.model.directory
    found, one = (
        predict(artifact, each, images=7, batch=2, processes=1, progress=lambda done: None)
        for each in (shared, host)
    )
    assert (found.images, found.differing) == (7, 0)
    assert found.counters == one.counters


@pytest.mark.slow
def test_the_command_on_checked_in_networks(tmp_path):
    for name in ("digits/mixed", "digits/16bit", "resnet8"):
        artifact = ROOT / "golden" / "vectors" / name
        result = CliRunner().invoke(main, ["predict", str(artifact), "--out", str(tmp_path)])
        assert result.exit_code == 0, result.output
        (path,) = tmp_path.rglob(f"{artifact.name}.json")
        document = json.loads(path.read_text())
        images = len(read_artifact(artifact).samples)
        assert (document["images"], document["differing"]) == (images, 0)
        assert sum(document["cycles_by_cause"].values()) == document["cycles"]


def test_integers_of_the_artifact_that_are_others_are_counted(artifact, host):
    samples = artifact.samples
    name = artifact.network.outputs[0]
    logits = np.array(samples.accumulators[name])
    logits[2, 1] += 1
    other = dataclasses.replace(
        samples,
        accumulators={**samples.accumulators, name: logits},
        logits=logits,
        classes=logits.argmax(axis=1),
    )
    changed = dataclasses.replace(artifact, samples=other)
    found = predict(changed, host, images=7, batch=2, processes=1, progress=lambda done: None)
    assert found.differing == 1
