"""Quantized files made by somebody who wants code to run, or files or memory for nothing."""

import resource
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from adq.golden.exchange.comparison import compare
from adq.golden.exchange.importing import random_images
from adq.golden.exchange.opening import ExchangeError
from adq.golden.exchange.reading import read_model
from adq.golden.files.arrays import read_arrays
from adq.golden.files.reading import FileError
from adq.golden.formats import NetworkError
from tests.exchange.quantized_models import Model

pytestmark = pytest.mark.testpoint("artifact.strangers")


def good():
    model = Model(2, 6, 6)
    x = model.qdq("image", 0.1, np.uint8(7))
    x = model.add("Conv", x, model.weights(np.ones((3, 2, 3, 3), np.int8), 0.1), pads=[1] * 4)
    x = model.qdq(model.add("Relu", x), 0.1, np.uint8(0))
    return model, x


def refused(tmp_path, model, message):
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises((ExchangeError, NetworkError), match=message) as error:
        read_model(tmp_path / "m.onnx")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


def edited(change):
    model, output = good()
    proto = model.proto(output)
    change(proto)
    return proto


def first_weight(proto):
    return next(each for each in proto.graph.initializer if len(each.dims) == 4)


def external(proto):
    tensor = first_weight(proto)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def function(proto):
    proto.functions.add(name="f", domain="")


def graph_inside(proto):
    inner = helper.make_graph([], "inner", [], [])
    proto.graph.node[-1].attribute.append(helper.make_attribute("then_branch", inner))


def training(proto):
    proto.training_info.add()


def sides(*dims):
    def change(proto):
        first_weight(proto).dims[:] = dims

    return change


def module(proto):
    proto.graph.node[-1].domain = "build.evil.payload"


def scales_of_two_channels(proto):
    """Give weights of three channels two scales."""
    place = next(i for i, each in enumerate(proto.graph.initializer) if len(each.dims) == 4) + 1
    tensor = proto.graph.initializer[place]
    tensor.CopyFrom(numpy_helper.from_array(np.full(2, 0.1, np.float32), tensor.name))


def number(place, value):
    def change(proto):
        tensor = [each for each in proto.graph.initializer if each.data_type == TensorProto.FLOAT]
        tensor[place].raw_data = np.float32(value).tobytes()

    return change


def input_shape(*dims):
    def change(proto):
        proto.graph.input[0].CopyFrom(
            helper.make_tensor_value_info("image", TensorProto.FLOAT, dims)
        )

    return change


def attribute(**values):
    def change(proto):
        node = next(each for each in proto.graph.node if each.op_type == "Conv")
        del node.attribute[:]
        node.attribute.extend(helper.make_attribute(*pair) for pair in values.items())

    return change


ATTACKS = {
    "lies in another file": external,
    "defines a function": function,
    "holds a graph or something": graph_inside,
    "graphs of training": training,
    "domain 'build.evil.payload'": module,
    "has a shape of": sides(2**40, 2**40, 2**20, 3),
    "cannot be read": sides(3, 2, 3, 4),
    "has weights for 3 channels": sides(2, 3, 3, 3),
    "no positive number": number(0, np.nan),
    "is no positive number": number(0, 0.0),
    "scale that is no positive": number(0, -np.inf),
    "needs a shift of": lambda proto: [number(place, 1e-30)(proto) for place in range(2)],
    "of a fixed size": input_shape("N", 2, "H", 6),
    r"images are \(N, C, H, W\)": input_shape("N", 2**20, 2**20, 2**20),
    "another type than float32": lambda proto: setattr(
        proto.graph.input[0].type.tensor_type, "elem_type", TensorProto.STRING
    ),
    "has no shape": lambda proto: proto.graph.input[0].type.tensor_type.ClearField("shape"),
    "2 inputs": lambda proto: proto.graph.input.append(
        helper.make_tensor_value_info("more", TensorProto.FLOAT, [1])
    ),
    "is given by no node": lambda proto: setattr(proto.graph.output[0], "name", "nobody"),
    "a second time": lambda proto: proto.graph.node[-1].output.__setitem__(
        0, proto.graph.node[0].output[0]
    ),
    "which nothing before it gives": lambda proto: proto.graph.node[0].input.__setitem__(
        0, proto.graph.node[-1].output[0]
    ),
    "has pads of": attribute(pads=[2**40] * 4),
    "elements|padding": attribute(pads=[2**25, 2**25, 2**25, 2**25]),
    "below 1": attribute(strides=[0, 1]),
    "where height and width": attribute(strides=[1, 1, 1]),
    "has 'strides' as str": attribute(strides="11"),
    "has 'pads' as ndarray": attribute(pads=numpy_helper.from_array(np.ones(4, np.float32))),
    "has 'dilations' as int": attribute(dilations=7),
    "shapes do not suit each other": scales_of_two_channels,
    "holds complex64, it must": lambda proto: first_weight(proto).CopyFrom(
        numpy_helper.from_array(np.ones((3, 2, 3, 3), np.complex64), first_weight(proto).name)
    ),
    "in 5 groups": attribute(group=5),
    "auto_pad": attribute(auto_pad="AROUND"),
    "operators of version": lambda proto: setattr(proto.opset_import[0], "version", 2**40),
    "have one name": lambda proto: proto.graph.initializer.append(proto.graph.initializer[0]),
    "a name in the file has 1000000 characters": lambda proto: setattr(
        proto.graph.node[-1], "domain", "y" * 10**6
    ),
    "sparse tensors": lambda proto: proto.graph.sparse_initializer.add(),
}


@pytest.mark.parametrize("message", ATTACKS)
def test_attacks_are_refused_in_one_line(tmp_path, message):
    refused(tmp_path, edited(ATTACKS[message]), message)


def test_a_name_that_is_no_text(tmp_path):
    model, output = good()
    data = model.proto(output).SerializeToString()
    (tmp_path / "m.onnx").write_bytes(data.replace(output.encode(), b"\xe3" + output.encode()[1:]))
    with pytest.raises(ExchangeError, match="is no text"):
        read_model(tmp_path / "m.onnx")


@pytest.mark.parametrize("data", [b"", b"no graph", b"\x00" * 100, b"\x08" * 100])
def test_no_graph_at_all(tmp_path, data):
    (tmp_path / "m.onnx").write_bytes(data)
    with pytest.raises(ExchangeError, match=r"ONNX file|holds no graph"):
        read_model(tmp_path / "m.onnx")


def test_damaged_bytes_end_in_a_message(tmp_path):
    """Any byte of a file may be another: it is read, or refused by a named error."""
    model, output = good()
    data = model.proto(output).SerializeToString()
    rng = np.random.default_rng(7)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(400):
        damaged = bytearray(data)
        for _ in range(rng.integers(1, 4)):
            damaged[rng.integers(len(damaged))] = rng.integers(256)
        (tmp_path / "m.onnx").write_bytes(damaged)
        try:
            read_model(tmp_path / "m.onnx")
            outcomes["read"] += 1
        except (ExchangeError, NetworkError):
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 20


BOMBS = {
    "concatenation": """
        x = m.qdq("image", 0.1, np.uint8(0))
        for _ in range(40):
            x = m.add("Concat", x, x, axis=1)
    """,
    "padding": """
        x = m.qdq("image", 0.1, np.uint8(0))
        for _ in range(40):
            x = m.add("Pad", x, np.array([0, 0, 4000, 4000] * 2))
    """,
    "padding of 16 bits": """
        x = m.qdq("image", 0.1, np.uint16(9))
        x = m.add("Pad", x, np.array([0, 0, 10**6, 10**6] * 2))
    """,
    "the input": """
        m = Model(1, 2**15, 2**15)
        x = m.qdq("image", 0.1, np.uint8(0))
    """,
    "a convolution": """
        x = m.qdq("image", 0.1, np.uint8(0))
        w = m.weights(np.ones((1, 2, 1, 1), np.int8), 0.1)
        x = m.add("Conv", x, w, pads=[10**5] * 4)
    """,
}


@pytest.mark.parametrize("kind", BOMBS)
def test_memory_follows_from_the_file(tmp_path, kind):
    program = textwrap.dedent(
        """
        import resource, sys
        import numpy as np
        from adq.golden.exchange.reading import ExchangeError, read_model
        from adq.golden.formats import NetworkError
        from tests.exchange.quantized_models import Model
        m = Model(2, 6, 6)
        """
    ) + textwrap.dedent(BOMBS[kind])
    program += textwrap.dedent(
        f"""
        path = {str(tmp_path / "m.onnx")!r}
        m.save(path, m.add("Relu", x))
        try:
            read_model(path)
        except (ExchangeError, NetworkError) as error:
            print(error)
        else:
            raise SystemExit("it was read")
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31)),
        env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": "."},
    )
    assert done.returncode == 0, done.stderr


# ---- Images


def saved(tmp_path, name, **arrays):
    path = tmp_path / name
    np.savez(path, **arrays)
    return path


def test_arrays_are_read(tmp_path):
    path = saved(tmp_path, "a.npz", images=np.ones((2, 3), np.float32, order="F"), labels=[1, 2])
    found = read_arrays(path)
    assert found["images"].tolist() == [[1] * 3] * 2
    assert found["labels"].tolist() == [1, 2]
    np.save(tmp_path / "b.npy", np.asfortranarray(np.arange(6).reshape(2, 3)))
    assert read_arrays(tmp_path / "b.npy")[""].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_nothing_is_unpickled(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("it ran",)

    np.save(tmp_path / "a.npy", np.array([Evil()], object), allow_pickle=True)
    with pytest.raises(FileError, match="it must hold numbers"):
        read_arrays(tmp_path / "a.npy")


def test_an_array_that_says_more_than_it_has(tmp_path):
    import io

    stream = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (2**40, 2**20)}
    np.lib.format.write_array_header_1_0(stream, header)
    (tmp_path / "a.npy").write_bytes(stream.getvalue() + b"1234")
    with pytest.raises(FileError, match="which its 4 bytes do not fill"):
        read_arrays(tmp_path / "a.npy")


def test_an_archive_that_unpacks_to_much(tmp_path, monkeypatch):
    monkeypatch.setattr("adq.golden.files.arrays.MAXIMUM_BYTES", 2**20)
    np.savez_compressed(tmp_path / "a.npz", *[np.zeros(2**16)] * 3)
    assert (tmp_path / "a.npz").stat().st_size < 2**14
    with pytest.raises(FileError, match="unpacks to more than"):
        read_arrays(tmp_path / "a.npz")


def test_a_damaged_archive(tmp_path):
    path = saved(tmp_path, "a.npz", images=np.ones(300))
    data, rng = bytearray(path.read_bytes()), np.random.default_rng(1)
    refused = 0
    for _ in range(300):
        changed = bytearray(data)
        changed[rng.integers(len(changed))] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        try:
            read_arrays(path)
        except FileError:
            refused += 1
    assert refused > 100


IMAGES = {
    "images have shape": [{"images": np.float32(1)}, {"images": np.zeros((0, 2, 6, 6))}],
    "no finite numbers": [{"images": np.full((2, 2, 6, 6), value)} for value in (np.nan, 1e300)],
    "name the array": [{"pictures": np.zeros((2, 2, 6, 6))}],
    "labels are": [{"images": np.zeros((2, 2, 6, 6)), "labels": np.zeros(2)}],
    "labels span": [{"images": np.zeros((2, 2, 6, 6)), "labels": np.full((2, 6, 6), 3)}],
}


@pytest.mark.parametrize("message", IMAGES)
def test_images_that_suit_no_network(tmp_path, message):
    from adq.golden.exchange.importing import images_and_labels

    model, output = good()
    imported = read_model(model.save(tmp_path / "m.onnx", output))
    for arrays in IMAGES[message]:
        path = saved(tmp_path, "a.npz", **arrays)
        with pytest.raises(ExchangeError, match=message):
            images_and_labels(imported, path, count=2, seed=1)


def test_random_images_are_of_a_bearable_size(tmp_path):
    proto = edited(input_shape("N", 2, 2**12, 2**12))
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(ExchangeError, match=r"50 random images of .* ask for fewer samples"):
        random_images(read_model(tmp_path / "m.onnx"), 50, seed=1)


def test_no_runtime_prints_names_of_the_file(tmp_path, capfd):
    """A node that ONNX Runtime fails on has a name with an escape sequence."""
    proto = edited(lambda proto: None)
    for node in proto.graph.node:
        node.name = "\x1b[31m" + node.name
    zero = next(each for each in proto.graph.initializer if each.data_type == TensorProto.UINT8)
    zero.CopyFrom(numpy_helper.from_array(np.full(2, 7, np.uint8), zero.name))
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    imported = read_model(tmp_path / "m.onnx")
    with pytest.raises(ExchangeError, match="ONNX Runtime does not run the file"):
        compare(imported, random_images(imported, 2, seed=1))
    assert "\x1b" not in "".join(capfd.readouterr())
