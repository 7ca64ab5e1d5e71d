"""The network as QONNX with float scales, run and taken apart by the tools that it is for."""

import functools

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from adq.cli.application import main
from adq.golden.artifact import read_artifact
from adq.golden.exchange.comparison import compare
from adq.golden.exchange.reading import read_model
from adq.golden.integer_network import run
from adq.golden.onnx.scaled import build_scaled
from tests.golden_networks import digits_like_network
from tests.places import ROOT

pytestmark = pytest.mark.testpoint("network.exported")

VECTORS = ROOT / "golden" / "vectors"
SEED = 4


def network_of(name):
    return read_artifact(VECTORS / name).network


@functools.cache
def digits():
    """Return 1,000 digits as integers of the shipped network's input, and their classes."""
    from adq.data import DataConfig, load

    network = network_of("digits/mixed")
    images = load(DataConfig(name="digits"), seed=0, device="cpu")
    pixels = np.concatenate([images.test_pixels.numpy(), images.train_pixels.numpy()])[:1000]
    real = (pixels - images.mean.numpy()) / images.deviation.numpy()
    target = network.input_format
    steps = np.rint(real.astype(np.float32) / np.float32(target.scale))
    whole = np.clip(steps, target.lo, target.hi).astype(np.int64)
    return whole, run(network, whole).classes


def real(network, whole):
    return whole.astype(np.float32) * np.float32(network.input_format.scale)


def test_the_digits_are_those_of_the_artifact():
    whole, _ = digits()
    samples = read_artifact(VECTORS / "digits/mixed").samples.inputs
    assert all((whole == sample).all((1, 2, 3)).any() for sample in samples)


@pytest.mark.parametrize("name", ["digits/mixed", "digits/16bit", "resnet8"])
def test_it_is_the_same_network_by_qonnx(tmp_path, name):
    """Classes of qonnx's own execution; each node differs by single steps of 16 bits at most."""
    network = network_of(name)
    onnx.save(build_scaled(network), tmp_path / "m.onnx")
    rng = np.random.default_rng(SEED)
    samples = read_artifact(VECTORS / name).samples.inputs.astype(np.int64)
    whole = np.clip(
        samples.repeat(8, 0) + rng.integers(-3000, 3001, (8 * len(samples), *samples.shape[1:])),
        network.input_format.lo,
        network.input_format.hi,
    )
    imported = read_model(tmp_path / "m.onnx")
    assert np.array_equal(imported.integers(real(network, whole)), whole)
    found = compare(imported, real(network, whole))
    assert found.runner == "qonnx"
    assert np.array_equal(found.classes, run(network, whole).classes)
    assert found.agrees
    assert imported.network.macs("conv1") == network.macs("conv1")


def test_a_thousand_digits_by_qonnx(tmp_path):
    network = network_of("digits/mixed")
    onnx.save(build_scaled(network), tmp_path / "m.onnx")
    whole, classes = digits()
    found = compare(read_model(tmp_path / "m.onnx"), real(network, whole))
    assert (found.classes != classes).sum() == 0


def test_qonnx_takes_it_apart(tmp_path):
    """Cleanup, types, channels last, and the cost of inference with the network's bits and MACs."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.channels_last import ConvertToChannelsLastAndClean
    from qonnx.transformation.infer_datatypes import InferDataTypes
    from qonnx.util.cleanup import cleanup_model
    from qonnx.util.inference_cost import inference_cost

    network = network_of("digits/mixed")
    onnx.save(build_scaled(network), tmp_path / "m.onnx")
    model = cleanup_model(ModelWrapper(str(tmp_path / "m.onnx"))).transform(InferDataTypes())
    names = {node.op_type for node in model.graph.node}
    assert names == {
        *("Quant", "Conv", "BatchNormalization", "Relu", "MaxPool", "Flatten", "MatMul", "Add")
    }
    cost = inference_cost(str(tmp_path / "m.onnx"), discount_sparsity=False)["total_cost"]
    assert cost["unsupported"] == "set()"
    macs = {key: value for key, value in cost.items() if key.startswith("op_mac")}
    assert sum(macs.values()) == sum(network.macs(each.name) for each in network.matrix_layers)
    expected = {}
    for layer in network.matrix_layers:
        source = network.formats[layer.input]
        # A power of two is a fixed-point type there, any other scale a scaled integer.
        key = f"{layer.weight_bits}", f"{source.bits}"
        expected[key] = expected.get(key, 0) + network.macs(layer.name)
    found = {}
    for key, value in macs.items():
        source, weight = key.removeprefix("op_mac_").split("_")
        bits = ["".join(filter(str.isdigit, each.split(",")[0])) for each in (weight, source)]
        found[tuple(bits)] = found.get(tuple(bits), 0) + value
    assert found == expected, macs
    last = cleanup_model(ModelWrapper(str(tmp_path / "m.onnx"))).transform(
        ConvertToChannelsLastAndClean()
    )
    shapes = [last.get_tensor_shape(n.output[0]) for n in last.graph.node if n.op_type == "Conv"]
    assert shapes[0][-1] == network.shapes["conv1"][0]


def test_skip_connections_and_factors_come_back(tmp_path):
    """The graph is read again: it has the same nodes, and sums differ by halves alone."""
    network = digits_like_network()
    onnx.save(build_scaled(network), tmp_path / "m.onnx")
    imported = read_model(tmp_path / "m.onnx")
    rng = np.random.default_rng(SEED)
    lo, hi = network.input_format.lo, network.input_format.hi
    whole = rng.integers(lo, hi + 1, (64, *network.input_shape))
    assert compare(imported, real(network, whole)).agrees
    again, ours = run(imported.network, whole), run(network, whole)
    assert np.array_equal(
        again.accumulators["conv1"],
        ours.accumulators["conv1"] - network["conv1"].bias.reshape(-1, 1, 1),
    )
    for name in ("conv1", "conv2", "conv3"):
        difference = again.outputs[name].astype(int) - ours.outputs[name]
        assert (difference != 0).mean() < 0.02
        assert np.abs(difference).max() <= 2


def test_the_command_writes_beside_and_not_into_the_artifact(tmp_path):
    from adq.golden.artifact import write_artifact

    write_artifact(tmp_path / "mixed", read_artifact(VECTORS / "digits/mixed"))
    done = CliRunner().invoke(
        main, ["onnx", str(tmp_path / "mixed"), "--scaled", str(tmp_path / "new" / "m.onnx")]
    )
    assert done.exit_code == 0, done.output
    model = onnx.load(tmp_path / "new" / "m.onnx")
    assert model == build_scaled(network_of("digits/mixed"))
    assert sorted(each.name for each in (tmp_path / "mixed").iterdir()) == [
        "manifest.json",
        "tensors.safetensors",
    ]
    done = CliRunner().invoke(
        main, ["onnx", str(tmp_path / "mixed"), "--scaled", str(tmp_path / "mixed" / "m.onnx")]
    )
    assert done.exit_code == 2
    assert "outside of the artifact's folder" in done.output


@pytest.mark.slow
def test_hls4ml_predicts_the_same_classes_of_a_thousand_digits(tmp_path):
    """A minute: g++ compiles what hls4ml generates."""
    hls4ml = pytest.importorskip("hls4ml")
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.channels_last import ConvertToChannelsLastAndClean
    from qonnx.util.cleanup import cleanup_model

    network = network_of("digits/mixed")
    onnx.save(build_scaled(network), tmp_path / "m.onnx")
    model = cleanup_model(ModelWrapper(str(tmp_path / "m.onnx")))
    model = cleanup_model(model.transform(ConvertToChannelsLastAndClean()))
    config = hls4ml.utils.config.config_from_onnx_model(
        model, granularity="name", backend="Vitis", default_precision="fixed<64,24>"
    )
    made = hls4ml.converters.convert_from_onnx_model(
        model, output_dir=str(tmp_path / "hls"), io_type="io_parallel", backend="Vitis",
        hls_config=config,
    )  # fmt: skip
    made.compile()
    whole, classes = digits()
    found = made.predict(np.ascontiguousarray(real(network, whole)))
    assert (found.reshape(len(whole), -1).argmax(1) != classes).sum() == 0


def test_an_imported_network_goes_out_again(tmp_path):
    """Tables that only round to another scale are quantizers again."""
    files = ROOT / "tests" / "exchange"
    for name in ("onnxruntime", "brevitas"):
        network = read_model(files / f"{name}-digits.onnx").network
        onnx.save(build_scaled(network), tmp_path / "m.onnx")
        again = read_model(tmp_path / "m.onnx")
        rng = np.random.default_rng(SEED)
        lo, hi = network.input_format.lo, network.input_format.hi
        whole = rng.integers(lo, hi + 1, (200, *network.input_shape))
        found = compare(again, real(network, whole))
        assert found.agrees
        assert (found.classes != run(network, whole).classes).sum() <= 2
