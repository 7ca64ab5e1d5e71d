"""Layers with names that tables, files and graphs use themselves."""

import dataclasses
import json

import pytest
from typer.testing import CliRunner

import adq.activity
import adq.simulation
from adq.cli import main
from adq.energy.fitting.fit import Records, fit
from adq.energy.simulated import energies_of
from adq.golden.artifact import read_artifact, write_artifact
from adq.verif.simulation.layer_work import network_work
from adq.verif.simulation.network_run import LayerRun, NetworkRun
from tests.energy.characterizations import characterization
from tests.energy.test_energy import COUNTS, MODEL
from tests.places import ROOT

pytestmark = pytest.mark.testpoint("artifact.strangers")

MIXED = ROOT / "golden" / "vectors" / "digits" / "mixed"
NAMES = [
    ["reset", "total", "logits", "load", "compute", "classes", "inputs"],
    ["all", "tile", "images", "layers", "network.json", "bias", "nets.counts"],
]
"""Names that replace those of the network's nodes, in their order."""


def renamed(artifact, names):
    new = dict(zip((node.name for node in artifact.network.nodes), names, strict=True))
    network, samples = artifact.network, artifact.samples
    nodes = tuple(
        dataclasses.replace(node, name=new[node.name], input=new.get(node.input, node.input))
        for node in network.nodes
    )
    outputs = tuple(new[name] for name in network.outputs)
    samples = dataclasses.replace(
        samples,
        accumulators={new[name]: array for name, array in samples.accumulators.items()},
        outputs={new[name]: array for name, array in samples.outputs.items()},
    )
    network = dataclasses.replace(network, nodes=nodes, outputs=outputs)
    return dataclasses.replace(artifact, network=network, samples=samples)


@pytest.fixture(params=NAMES, ids=lambda names: names[0])
def named(request, tmp_path):
    """An artifact, and the names of its matrix layers."""
    artifact = renamed(read_artifact(MIXED), request.param)
    write_artifact(tmp_path / "named", artifact)
    return tmp_path / "named", [layer.name for layer in artifact.network.matrix_layers]


def run(command, folder, *options):
    out = folder.parent / command
    result = CliRunner().invoke(main, [command, str(folder), "--out", str(out), *options])
    assert result.exit_code == 0, result.output
    return result.output, [json.loads(path.read_text()) for path in out.rglob("*.json")]


@pytest.mark.parametrize("command", ["verify", "map", "energy"])
def test_commands_that_compute(command, named):
    folder, layers = named
    said, [found] = run(command, folder)
    assert all(layer in said for layer in layers)
    told = json.dumps(found)
    assert all(f'"{layer}"' in told for layer in layers)


@pytest.mark.parametrize("command", ["sim", "activity"])
def test_commands_that_simulate(command, named, tmp_path, monkeypatch):
    folder, layers = named

    def sums(toggles):
        counts = {"toggles": toggles, "clocked": 1}
        return {"cycles": 9, "saif": None, "blocks": {"column adders": counts, "inputs": counts}}

    def simulated(path, artifact, tile, **_):
        windows = {name: sums(5) for name in ("reset", "load", "compute")}
        return NetworkRun(
            artifact=str(path),
            tile=tile,
            images=1,
            layers=tuple(
                LayerRun(
                    work=work,
                    cycles=work.cycles,
                    counts=COUNTS,
                    accumulators=5,
                    mismatches=0,
                    windows=windows,
                )
                for work in network_work(artifact, tile, 1)
            ),
            failure="",
            classes_that_differ=0,
            correct=1,
            bins={},
            counted_bits={},
            registers={},
            windows={"reset": sums(0), "named_nets": 3, "annotated_nets": 3},
        )

    model = fit(Records.read(characterization(tmp_path / "test.json")), provenance={})
    model = dataclasses.replace(model, counted=MODEL)

    def energies(found, _):
        told = energies_of(found, model)
        layers = [
            dataclasses.replace(
                layer, predicted=layer.predicted.scaled(layer.counted.total / layer.predicted_total)
            )
            for layer in told.layers
        ]
        return dataclasses.replace(told, layers=tuple(layers))

    for module in (adq.simulation, adq.activity):
        monkeypatch.setattr(module, "simulate", simulated)
        monkeypatch.setattr(module, "energies_of", energies)
    said, [found] = run(command, folder, "--rows", "16", "--columns", "16")
    assert all(layer in said for layer in layers)
    assert [layer["name"] for layer in found["runs"][0]["layers"]] == layers
