"""Networks of other tools: what is imported computes what ONNX Runtime or qonnx compute."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from adq.benchmarks.imported_networks import digits
from adq.cli.application import main
from adq.golden.artifact import read_artifact
from adq.golden.exchange.comparison import compare
from adq.golden.exchange.importing import random_images
from adq.golden.exchange.reading import ExchangeError, read_model
from adq.golden.integer_network import run
from tests.exchange.quantized_models import Model, run_by_onnxruntime
from tests.places import ROOT

pytestmark = pytest.mark.testpoint("network.imported")

FILES = ROOT / "tests" / "exchange"
SEED = 20
CODES = {
    "uint8": np.uint8(0),
    "uint8, odd zero": np.uint8(114),
    "uint8, all negative": np.uint8(255),
    "int8": np.int8(0),
    "int8, behind a ReLU": np.int8(-128),
    "int8, odd zero": np.int8(17),
    "uint16": np.uint16(0),
    "int16, odd zero": np.int16(-300),
}


def images_of(shape, count=40, seed=SEED):
    return np.random.default_rng(seed).normal(0, 1, (count, *shape)).astype(np.float32)


def accumulators(path, images, scale):
    """Integers of the only layer: imported, and by ONNX Runtime from the file."""
    imported = read_model(path)
    logits = run(imported.network, imported.integers(images)).logits
    (real,) = run_by_onnxruntime(path, images)
    return logits, real.astype(np.float64) / scale


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("padding", [[0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 2, 1], "SAME_LOWER"])
def test_accumulators_are_those_of_the_file(tmp_path, kind, padding):
    zero = CODES[kind]
    rng = np.random.default_rng(SEED)
    # Few enough products that float32 tells all integers of 16 bits times these apart.
    weight = rng.integers(-3, 4, (4, 1, 3, 3)).astype(np.int8)
    scale = 4.0 / (1 << (8 * zero.dtype.itemsize))
    model = Model(2, 7, 6)
    source = model.qdq("image", scale, zero)
    pads = {"auto_pad": padding} if isinstance(padding, str) else {"pads": padding}
    bias = model.weights(np.array([5, -900, 0, 70000], np.int32), np.full(4, scale * 0.5))
    model.add(
        "Conv", source, model.weights(weight, 0.5), bias, name="scores", group=2,
        strides=[2, 1], **pads,
    )  # fmt: skip
    path = model.save(tmp_path / "m.onnx", "scores")
    ours, theirs = accumulators(path, images_of((2, 7, 6)), scale * 0.5)
    assert np.abs(ours - theirs).max() < 0.3
    assert np.array_equal(ours, np.rint(theirs))


def test_weights_of_every_kind(tmp_path):
    """Zero points of weights, scales a channel, 4-bit codes, float weights behind quantizers."""
    import ml_dtypes

    rng = np.random.default_rng(SEED)
    makers = {
        "uint8": lambda m, w: m.weights((w + 120).astype(np.uint8), np.float32(0.5), np.uint8(120)),
        "int4": lambda m, w: m.weights(
            np.clip(w, -8, 7).astype(ml_dtypes.int4), np.float32(0.5), np.zeros((), ml_dtypes.int4)
        ),
        "quantized in the file": lambda m, w: m.qdq(
            m.constant((w * 0.5 + 0.1).astype(np.float32)), 0.5, np.int8(0)
        ),
        "a scale a channel, turned": lambda m, w: m.add(
            "Transpose",
            m.weights(np.ascontiguousarray(w.T.astype(np.int8)), [0.5] * 10, axis=1),
            perm=[1, 0],
        ),
    }
    for name, make in makers.items():
        model = Model(12)
        source = model.qdq("image", 0.03, np.uint8(99))
        weight = make(model, rng.integers(-9, 10, (10, 12)))
        model.add("Gemm", source, weight, name="scores", transB=1)
        path = model.save(tmp_path / "m.onnx", "scores")
        ours, theirs = accumulators(path, images_of((12,)), np.float32(0.03) * 0.5)
        assert np.abs(ours - theirs).max() < 0.3, name
    assert read_model(path).network["scores"].weight_bits == 8


def build_of_everything(model, rng, zero):
    """A network with every operator that QDQ files have, all tensors of one type of codes."""

    def layer(kind, tensor, shape, scale, **attributes):
        weight = rng.integers(-127, 128, shape).astype(np.int8)
        steps = (rng.random(shape[0]) * 0.004 + 0.002).astype(np.float32)
        bias = (rng.normal(0, 0.3, shape[0])).astype(np.float32)
        value = model.add(kind, tensor, model.weights(weight, steps), bias, **attributes)
        return model.qdq(value, scale, zero)

    def kind(number):
        return zero.dtype.type(number)

    x = model.qdq("image", 0.02, kind(zero + 9))
    stem = layer("Conv", x, (8, 3, 3, 3), 0.05, pads=[1, 1, 1, 1], strides=[2, 2])
    stem = model.qdq(model.add("Relu", stem), 0.03, zero)
    more = layer("Conv", stem, (8, 1, 3, 3), 0.08, pads=[1, 0, 1, 2], group=8)
    both = model.qdq(model.add("Add", stem, more), 0.07, kind(zero + 1))
    pooled = model.add("MaxPool", both, kernel_shape=[2, 2], strides=[2, 2])
    # Tables have at most 12 bits.
    soft, gating = ("HardSwish", "Sigmoid") if zero.dtype.itemsize == 1 else ("Relu", "Relu")
    soft = model.qdq(model.add(soft, pooled), 0.0523, kind(zero + 12))
    gate = model.qdq(model.add("GlobalAveragePool", soft), 0.03, zero)
    gate = model.qdq(model.add(gating, layer("Conv", gate, (8, 8, 1, 1), 0.05)), 1 / 256, zero)
    scaled = model.qdq(model.add("Mul", soft, gate), 0.02, zero)
    other = model.qdq(model.add("Clip", soft, np.float32(0), np.float32(1.3)), 0.02, zero)
    joined = model.add("Concat", scaled, other, axis=1)
    mean = model.qdq(model.add("AveragePool", joined, kernel_shape=[2, 2]), 0.02, zero)
    flat = model.add("Flatten", mean)
    return layer("Gemm", flat, (10, 16 * 9), 0.1, transB=1)


@pytest.mark.parametrize("zero", [np.uint8(0), np.int8(-20), np.uint8(100), np.uint16(0)])
@pytest.mark.parametrize("seed", range(4))
def test_random_networks(tmp_path, seed, zero):
    """No sum differs; an activation only by the step that the stated bound explains."""
    rng = np.random.default_rng(seed)
    model = Model(3, 16, 16)
    path = model.save(tmp_path / "m.onnx", build_of_everything(model, rng, zero))
    imported = read_model(path)
    images = images_of((3, 16, 16), seed=seed)
    found = compare(imported, images)
    bounds = {each.node: each.error for each in imported.roundings}
    assert found.agrees
    assert sum(node.accumulators > 0 for node in found.nodes) == 6
    for node in found.nodes:
        assert node.largest_difference <= 1 + np.ceil(
            bounds.get(node.node.partition(".limit")[0], 0)
        )
        # Scales of few digits meet halves, which float32 breaks either way.
        halves = node.operation in ("Lookup", "AveragePool2d")
        share = 0.2 if halves else 0.02 + bounds.get(node.node.partition(".limit")[0], 0)
        assert node.differing_activations <= share * node.activations, node
    # End to end, by ONNX Runtime alone: small next to 256 steps of the output.
    (real,) = run_by_onnxruntime(path, images)
    own = run(imported.network, imported.integers(images)).logits
    steps = np.rint(real / np.float32(0.1)) + imported.zeros.get(imported.network.outputs[0], 0)
    assert np.abs(own - steps).max() <= (3 if zero.dtype.itemsize == 1 else 60)


def test_qonnx_that_rounds_down_is_exact(tmp_path):
    """Powers of two and FLOOR leave nothing to chance: every integer is that of qonnx."""
    rng = np.random.default_rng(SEED)
    model = Model(2, 6, 6)
    x = model.quant("image", 2**-4, 6, zero=3.0, mode="FLOOR")
    weight = model.quant(
        model.constant(rng.normal(0, 1, (5, 2, 3, 3)).astype(np.float32)), 0.25, 3, narrow=1
    )
    x = model.add("Conv", x, weight, rng.normal(0, 1, 5).astype(np.float32), pads=[1] * 4)
    x = model.quant(model.add("Relu", x), 2**-2, 5, signed=0, mode="FLOOR")
    x = model.add("Reshape", x, np.array([1, -1]), name="flat")
    weight = model.quant(model.constant(rng.normal(0, 1, (7, 180)).astype(np.float32)), 0.125, 16)
    x = model.quant(model.add("Gemm", x, weight, transB=1), 2**-1, 9, mode="CEIL")
    path = model.save(tmp_path / "m.onnx", x)
    imported = read_model(path)
    found = compare(imported, images_of((2, 6, 6)))
    assert [node.differing_activations for node in found.nodes] == [0] * len(found.nodes)
    assert found.differing_classes == 0
    assert found.runner == "qonnx"


@pytest.mark.parametrize("name", ["brevitas", "onnxruntime"])
def test_checked_in_networks_classify_a_thousand_images_as_their_files(tmp_path, name):
    images, labels = digits()
    np.savez(tmp_path / "digits.npz", images=images, labels=labels)
    done = CliRunner().invoke(
        main,
        [
            "import", str(FILES / f"{name}-digits.onnx"), str(tmp_path / "artifact"),
            "--images", str(tmp_path / "digits.npz"), "--samples", "5",
        ],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    artifact = read_artifact(tmp_path / "artifact")
    assert np.array_equal(artifact.samples.labels, labels[:5])
    told = artifact.generator["imported"]
    found = told["comparison"]
    assert found["images"] == 1000
    assert found["differing_classes"] <= 1  # of two equal scores, beside a rounded half
    assert sum(node["differing_accumulators"] for node in found["nodes"]) == 0
    assert json.loads(json.dumps(told)) == told


def test_classes_of_the_checked_in_file_by_onnx_runtime_alone():
    images, labels = digits()
    path = FILES / "onnxruntime-digits.onnx"
    (scores,) = run_by_onnxruntime(path, images)
    imported = read_model(path)
    found = run(imported.network, imported.integers(images))
    scale = imported.network.formats[imported.network.outputs[0]].scale
    steps = np.rint(scores / scale) + imported.zeros[imported.network.outputs[0]]
    assert np.abs(found.logits - steps).max() <= 2
    assert (found.classes != scores.argmax(1)).sum() <= 1
    assert (found.classes == labels).mean() > 0.95


def test_random_images_lie_on_the_integers_of_the_input():
    imported = read_model(FILES / "onnxruntime-digits.onnx")
    images = random_images(imported, 8, SEED)
    whole = imported.integers(images)
    assert np.array_equal(np.random.default_rng(SEED).integers(0, 256, whole.shape), whole)


REFUSED = {
    "BipolarQuant": lambda m: m.add(
        "BipolarQuant", "image", np.float32(1), domain="qonnx.custom_op.general"
    ),
    "Trunc": lambda m: m.add(
        "Trunc", "image", *[np.float32(1)] * 4, domain="qonnx.custom_op.general"
    ),
    "the images in floating point": lambda m: m.add("Relu", "image"),
    "weights in floating point": lambda m: m.add(
        "Conv", m.qdq("image", 0.1, np.uint8(0)), np.ones((1, 2, 3, 3), np.float32)
    ),
    "put a quantizer between": lambda m: m.add(
        "Conv",
        m.add(
            "Conv", m.qdq("image", 0.1, np.uint8(0)), m.weights(np.ones((2, 2, 1, 1), np.int8), 0.1)
        ),
        m.weights(np.ones((2, 2, 1, 1), np.int8), 0.1),
    ),
    "scale differs within an output channel": lambda m: m.add(
        "Conv",
        m.qdq("image", 0.1, np.uint8(0)),
        m.weights(np.ones((2, 2, 1, 1), np.int8), [0.1, 0.2], axis=1),
    ),
    "a zero point a channel": lambda m: m.add(
        "DequantizeLinear",
        m.add("QuantizeLinear", "image", np.float32([0.1, 0.2]), np.uint8([0, 0])),
        np.float32([0.1, 0.2]),
        np.uint8([0, 0]),
    ),
    "at most 16 are computed": lambda m: m.quant("image", 0.1, 17),
    "no positive number": lambda m: m.qdq("image", -1.0, np.uint8(0)),
    "which is not understood": lambda m: m.add("Relu", m.qdq("image", 1, np.uint8(0)), secret=1),
    "has no integer form here": lambda m: m.add("Erf", m.qdq("image", 0.1, np.uint8(0))),
    "ceil_mode": lambda m: m.add(
        "MaxPool",
        m.qdq("image", 0.1, np.uint8(0)),
        kernel_shape=[2, 2],
        strides=[4, 4],
        ceil_mode=1,
    ),
    "rounds by UP": lambda m: m.quant("image", 0.1, 8, mode="UP"),
    "count_include_pad=1": lambda m: m.add(
        "AveragePool", m.qdq("image", 0.1, np.uint8(0)), kernel_shape=[3, 3], pads=[1] * 4
    ),
    "in QDQ form": lambda m: m.add("QLinearSoftmax", "image", domain="com.microsoft"),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_has_no_exact_form_is_refused_by_its_node(tmp_path, message):
    model = Model(2, 7, 7)
    path = model.save(tmp_path / "m.onnx", REFUSED[message](model))
    with pytest.raises(ExchangeError, match=message) as refused:
        read_model(path)
    assert "t" in str(refused.value)


def test_the_graph_in_an_old_form_is_refused(tmp_path):
    model = Model(2, 7, 7, opset=9)
    path = model.save(tmp_path / "m.onnx", model.add("Relu", "image"))
    with pytest.raises(ExchangeError, match=r"operators of version \[9\]"):
        read_model(path)


@pytest.mark.parametrize("limits", [(0.0, 1.3), (-0.7, 0.9), (-0.5, np.inf), (0.3, 6.0)])
@pytest.mark.parametrize("zero", [np.int8(0), np.uint8(40), np.int16(0), np.uint16(9)])
def test_limits_between_those_of_a_format(tmp_path, limits, zero):
    """A Clip ends at the integer that the file's own quantizer gives."""
    model = Model(2, 5, 5)
    scale = 0.02 if zero.dtype.itemsize == 1 else 0.0002
    tensor = model.qdq("image", scale, zero)
    weight = model.weights(np.array([[[[3]], [[1]]]] * 3, np.int8), 0.5)
    tensor = model.add("Conv", tensor, weight)
    tensor = model.add("Clip", tensor, *map(np.float32, limits))
    path = model.save(tmp_path / "m.onnx", model.qdq(tensor, scale, zero))
    imported, images = read_model(path), images_of((2, 5, 5), 200)
    (node,) = [each for each in compare(imported, images).nodes if each.activations]
    assert node.largest_difference <= 1
    own = run(imported.network, imported.integers(images)).logits
    (real,) = run_by_onnxruntime(path, images)
    zero = imported.zeros.get(imported.network.outputs[0], 0)
    steps = np.rint(real.astype(np.float64) / np.float32(scale)) + zero
    assert (own.min(), own.max()) == (steps.min(), steps.max())


def test_lengths(tmp_path):
    """Convolutions along one axis: images of one row, whose axes are those of the file."""
    rng = np.random.default_rng(SEED)
    model = Model(3, 20)
    x = model.qdq("image", 0.03, np.uint8(100))
    weight = model.weights(rng.integers(-9, 10, (6, 3, 5)).astype(np.int8), 0.05)
    x = model.add("Conv", x, weight, pads=[1, 2], strides=[2], dilations=[2])
    x = model.add("Add", x, rng.normal(0, 1, (6, 1)).astype(np.float32))
    x = model.qdq(model.add("Relu", x), 0.05, np.uint8(0))
    x = model.add("MaxPool", x, kernel_shape=[2], strides=[2])
    x = model.add("Flatten", model.add("Concat", x, x, axis=-2), axis=-2)
    weight = model.weights(rng.integers(-9, 10, (5, 48)).astype(np.int8), 0.05)
    path = model.save(tmp_path / "m.onnx", model.add("Gemm", x, weight, transB=1))
    imported, images = read_model(path), images_of((3, 20))
    found = compare(imported, images)
    assert found.agrees
    assert found.differing_classes == 0
    (scores,) = run_by_onnxruntime(path, images)
    own = run(imported.network, imported.integers(images)).logits
    assert np.abs(own * (np.float32(0.05) * np.float32(0.05)) - scores).max() < 0.1


OTHER_NETWORKS = {
    "an offset for each image of three": lambda m, x: m.add(
        "Add", x, np.ones((3, 1, 1), np.float32)
    ),
    "columns": lambda m, x: m.add("Add", x, np.ones((20,), np.float32)),
    "joined images": lambda m, x: m.add("Concat", x, x, axis=0),
    "joined images, counted from the end": lambda m, x: m.add("Concat", x, x, axis=-3),
    "flattened images": lambda m, x: m.add("Flatten", x, axis=0),
    "rows of a length": lambda m, x: m.add("Reshape", x, np.array([-1, 20])),
    "a length as an image": lambda m, x: m.add("Reshape", x, np.array([0, 3, 1, 20])),
    "channels averaged": lambda m, x: m.add("ReduceMean", x, np.array([1])),
    "dropout that drops": lambda m, x: m.add("Dropout", x, np.float32(0.5), np.array(True)),
    "several limits": lambda m, x: m.add("Clip", x, np.zeros(20, np.float32)),
    "softmax along the length": lambda m, x: m.add("Softmax", x, axis=-1),
}


@pytest.mark.parametrize("kind", OTHER_NETWORKS)
def test_no_other_network_is_read(tmp_path, kind):
    model = Model(3, 20)
    x = OTHER_NETWORKS[kind](model, model.qdq("image", 0.03, np.uint8(100)))
    path = model.save(tmp_path / "m.onnx", model.qdq(x, 0.03, np.uint8(100)))
    with pytest.raises(ExchangeError):
        read_model(path)


_PROCESSOR = Path("/proc/cpuinfo")
SUMS_ARE_EXACT = _PROCESSOR.is_file() and "vnni" in _PROCESSOR.read_text(encoding="utf-8")
"""Whether ONNX Runtime multiplies unsigned activations by weights of 8 bits exactly. Without these
instructions of x86 it adds two products in 16 bits, where weights of more than 7 bits saturate."""


class Calibration:
    """Images for ONNX Runtime's static quantization, one by one."""

    def __init__(self, images):
        self.images = iter(images)

    def get_next(self):
        image = next(self.images, None)
        return None if image is None else {"image": image[None]}


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
@pytest.mark.parametrize("kind", ["QUInt8", "QInt8"])
@pytest.mark.parametrize("per_channel", [False, True])
def test_what_onnx_runtime_quantizes(tmp_path, form, kind, per_channel):
    """A network in floating point, quantized by ONNX Runtime itself in both of its forms."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    rng = np.random.default_rng(SEED)

    def normal(*shape):
        return rng.normal(0, 0.3, shape).astype(np.float32)

    model = Model(3, 12, 12)
    stem = model.add(
        "Relu", model.add("Conv", "image", normal(8, 3, 3, 3), normal(8), pads=[1] * 4)
    )
    more = model.add("Conv", stem, normal(8, 8, 3, 3), normal(8), pads=[1] * 4)
    x = model.add("Relu", model.add("Add", more, stem))
    x = model.add("Concat", x, model.add("Conv", x, normal(4, 8, 1, 1)), axis=1)
    x = model.add("Flatten", model.add("GlobalAveragePool", x))
    x = model.add("Gemm", x, normal(10, 12), normal(10), transB=1)
    model.save(tmp_path / "float.onnx", x)
    images = images_of((3, 12, 12), 100)
    quantization.quantize_static(
        str(tmp_path / "float.onnx"),
        str(tmp_path / "m.onnx"),
        Calibration(images[:20]),
        quant_format=quantization.QuantFormat[form],
        activation_type=quantization.QuantType[kind],
        weight_type=quantization.QuantType.QInt8,
        per_channel=per_channel,
        reduce_range=form == "QOperator" and kind == "QUInt8" and not SUMS_ARE_EXACT,
    )
    imported = read_model(tmp_path / "m.onnx")
    found = compare(imported, images)
    assert found.agrees
    compared = [node for node in found.nodes if node.activations]
    assert len(compared) >= 5
    assert max(node.largest_difference for node in compared) <= 1
    assert sum(node.differing_activations for node in compared) < 0.02 * sum(
        node.activations for node in compared
    )
    assert found.differing_classes <= 2


@pytest.mark.parametrize("one", [(1, 0.0), (0, 0.0), (0, 9.0)])
@pytest.mark.parametrize("other", [(1, 0.0), (0, 0.0), (0, 9.0)])
def test_sums_without_a_quantizer_are_exact(tmp_path, one, other):
    """Products, sums and averages of few bits are read by a layer as they are."""
    rng = np.random.default_rng(SEED)
    model = Model(4, 6, 6)
    x = model.quant("image", 2**-4, 6, signed=one[0], zero=one[1])
    y = model.add("Mul", x, np.float32(-0.75))
    y = model.quant(y, 2**-2, 5, signed=other[0], zero=other[1])
    scores = []
    for source in (
        model.add("Mul", x, y),
        model.add("Add", x, y),
        model.add("GlobalAveragePool", y),
        model.add("AveragePool", x, kernel_shape=[2, 2]),
    ):
        weight = rng.integers(-3, 4, (2, 4, 1, 1)) * 0.5
        weight = model.quant(model.constant(weight.astype(np.float32)), 0.5, 4)
        scores.append(model.add("Conv", source, weight))
    imported = read_model(model.save(tmp_path / "m.onnx", *scores))
    found = compare(imported, images_of((4, 6, 6)))
    assert found.agrees
    assert sum(node.operation == "Conv2d" and node.accumulators > 0 for node in found.nodes) == 4
