import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from adq.benchmarks import golden
from adq.benchmarks.golden import FloatNetwork
from adq.benchmarks.integer_networks import resnet18, vgg19
from adq.cli import main
from adq.golden import integer_network
from adq.golden.network import Conv2d
from tests.golden_networks import digits_like_network

pytestmark = pytest.mark.testpoint(
    reason="They hold the benches that measure the design, not the design."
)


@pytest.mark.parametrize(("build", "macs"), [(vgg19, 398_136_320), (resnet18, 555_468_800)])
def test_networks_have_the_published_macs_and_live_activations(build, macs):
    network = build()
    assert sum(network.macs(layer.name) for layer in network.matrix_layers) == macs
    inputs = np.random.default_rng(1).integers(-(2**15), 2**15, (1, 3, 32, 32))
    outputs = integer_network.run(network, inputs).outputs
    for layer in network.matrix_layers[:-1]:
        values, target = outputs[layer.name], network.formats[layer.name]
        saturated = ((values == target.lo) | (values == target.hi)).mean()
        assert saturated < 0.95, layer.name
        assert len(np.unique(values)) >= 3, layer.name


def test_the_float_network_has_the_same_layers():
    network = resnet18()
    model = FloatNetwork(network).eval()
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 100)
    weights = {name: tuple(layer.weight.shape) for name, layer in model.layers.items()}
    assert weights == {layer.name: layer.weight.shape for layer in network.matrix_layers}
    assert sum(isinstance(layer, Conv2d) for layer in network.matrix_layers) == 20


def test_speed_is_measured_of_equal_logits(monkeypatch):
    monkeypatch.setitem(golden.NETWORKS, "small", digits_like_network)
    speed = golden.measure_speed("small", batch=5, rounds=2, progress=lambda stage: None)
    assert speed.differing_logits == 0
    assert min(speed.numpy, speed.onnx_runtime, speed.pytorch) > 0
    assert speed.macs == sum(
        digits_like_network().macs(layer.name) for layer in digits_like_network().matrix_layers
    )


def test_a_workload_goes_through_every_command(tmp_path):
    """The file names what each command took."""
    out = tmp_path / "load.json"
    result = CliRunner().invoke(
        main, ["dev", "bench-load", "--only", "10 layers", "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    loads = json.loads(out.read_text())["loads"]
    assert [load["command"] for load in loads] == ["export", "verify", "map", "energy"]
    assert all(load["cpu_seconds"] > 0 and 0 < load["gibibytes"] < 2 for load in loads)
    result = CliRunner().invoke(main, ["dev", "bench-load", "--only", "nothing", "--out", str(out)])
    assert result.exit_code == 2
    assert "no such workload" in result.stderr
