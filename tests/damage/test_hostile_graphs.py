"""Graphs beside an artifact, made by somebody who wants code to run or files to be read."""

import os
import subprocess
import sys

import onnx
import pytest
from onnx import TensorProto, helper

from adq.golden.artifact import GRAPHS, read_artifact, write_artifact
from adq.golden.onnx.building import QONNX_DOMAIN
from adq.golden.onnx.check import OnnxError, parse_model, require_graph_of, require_self_contained
from adq.golden.onnx.graph import build_model
from adq.golden.onnx.session import OnnxRun, QonnxRun
from tests.golden_networks import digits_like_network
from tests.places import ROOT

pytestmark = pytest.mark.testpoint("artifact.strangers")

MIXED = ROOT / "golden" / "vectors" / "digits" / "mixed"
DOMAIN = "build.evil.payload"
DIALECTS = ("onnx", "qonnx")


@pytest.fixture
def place(tmp_path):
    """A folder with an artifact, and with a module that leaves a file when it is imported."""
    evil = tmp_path / "build" / "evil"
    evil.mkdir(parents=True)
    (evil / "payload.py").write_text(
        "from pathlib import Path\nPath(__file__).with_name('ran').touch()\ncustom_op = {}\n"
    )
    write_artifact(tmp_path / "mixed", read_artifact(MIXED))
    return tmp_path


def verify(place, directory="mixed"):
    """Run ``adq verify`` in a process that could import the module."""
    done = subprocess.run(
        [sys.executable, "-m", "adq", "verify", directory],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(place), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not (place / "build" / "evil" / "ran").exists(), "code of the file ran"
    return done


def refused(done, message):
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: mixed/network")


def graph(dialect):
    return build_model(read_artifact(MIXED).network, dialect)


def foreign_operator(model):
    """The first operator becomes one of a domain that is a module's name."""
    model.graph.node[0].domain = DOMAIN
    model.opset_import.append(helper.make_opsetid(DOMAIN, 1))


def foreign_operator_in_a_subgraph(model):
    inner = helper.make_node("Anything", ["input"], ["inner"], domain=DOMAIN)
    value = helper.make_tensor_value_info("inner", TensorProto.FLOAT, [1])
    body = helper.make_graph([inner], "body", [], [value])
    middle = helper.make_node("If", ["input"], ["x"], then_branch=body, else_branch=body)
    outer = helper.make_graph([middle], "outer", [], [value])
    condition = helper.make_node("If", ["input"], ["y"], then_branch=outer, else_branch=outer)
    model.graph.node.append(condition)


def foreign_operator_in_a_function(model):
    inner = helper.make_node("Anything", ["a"], ["b"], domain=DOMAIN)
    opsets = [helper.make_opsetid(DOMAIN, 1)]
    model.functions.append(helper.make_function("", "Relu", ["a"], ["b"], [inner], opsets))


def foreign_operator_set(model):
    model.opset_import.append(helper.make_opsetid(DOMAIN, 1))


def external_weights(model):
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/hostname")


def external_constant(model):
    tensor = TensorProto(name="secret", data_type=TensorProto.UINT8, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/hostname")
    model.graph.node.append(helper.make_node("Constant", [], ["secret"], value=tensor))


def training(model):
    model.training_info.add()


ATTACKS = {
    foreign_operator: f"is of domain '{DOMAIN}': only operators of ONNX itself",
    foreign_operator_in_a_subgraph: f"operator 'Anything' is of domain '{DOMAIN}'",
    foreign_operator_in_a_function: "defines a function 'Relu': functions are not run",
    foreign_operator_set: f"operator set is of domain '{DOMAIN}'",
    external_weights: "lies in another file: graphs with external data are not read",
    external_constant: "tensor 'secret' lies in another file",
    training: "holds graphs of training, which are not run",
}
attacks = pytest.mark.parametrize(
    ("attack", "message"), ATTACKS.items(), ids=[attack.__name__ for attack in ATTACKS]
)


def test_the_module_leaves_its_trace_when_it_is_imported(place):
    """The attack is real: nothing but the checks keeps the module from being imported."""
    command = [sys.executable, "-c", f"import {DOMAIN}"]
    subprocess.run(command, cwd=place, check=True)
    assert (place / "build" / "evil" / "ran").exists()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_graph_that_the_manifest_does_not_list_is_refused(place, dialect):
    model = graph(dialect)
    foreign_operator(model)
    (place / "mixed" / GRAPHS[dialect]).write_bytes(model.SerializeToString())
    refused(verify(place), "is not listed in manifest.json: do not trust it, remove it")


def test_a_link_to_a_graph_is_refused_like_a_graph(place):
    (place / "mixed" / GRAPHS["qonnx"]).symlink_to("/nowhere")
    refused(verify(place), "is not listed in manifest.json")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_listed_graph_with_a_module_for_a_domain_is_refused(place, dialect):
    model = graph(dialect)
    foreign_operator(model)
    artifact = read_artifact(place / "mixed")
    write_artifact(place / "mixed", artifact, {dialect: model.SerializeToString()})
    refused(verify(place), ATTACKS[foreign_operator])


@pytest.mark.parametrize("dialect", DIALECTS)
@attacks
def test_a_graph_that_reaches_further_than_itself(dialect, attack, message):
    model = graph(dialect)
    attack(model)
    with pytest.raises(OnnxError) as error:
        parse_model(model.SerializeToString(), "there/network.onnx")
    assert str(error.value).startswith("there/network.onnx: ")
    assert message in str(error.value)
    with pytest.raises(OnnxError):
        require_graph_of(read_artifact(MIXED).network, dialect, model.SerializeToString(), "x")


@attacks
def test_no_runtime_gets_a_graph_that_reaches_further_than_itself(attack, message):
    artifact = read_artifact(MIXED)
    for dialect, execute in (("onnx", OnnxRun), ("qonnx", QonnxRun)):
        model = graph(dialect)
        attack(model)
        with pytest.raises(OnnxError) as error:
            execute(artifact.network, model)(artifact.samples.inputs[:1])
        assert message in str(error.value)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_domains_of_our_own_graphs_are_enough(dialect):
    model = graph(dialect)
    require_self_contained(model)
    assert {node.domain for node in model.graph.node} <= {"", QONNX_DOMAIN}


# Graphs that reach nowhere, but are not the network's


def weight_changed(model):
    weight = next(each for each in model.graph.initializer if each.name == "conv2/weight")
    values = onnx.numpy_helper.to_array(weight).copy()
    values[0, 0, 0, 0] += 1
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))


def operator_dropped(model):
    del model.graph.node[3]


def operator_changed(model):
    node = next(each for each in model.graph.node if each.op_type == "Conv")
    next(each for each in node.attribute if each.name == "strides").ints[0] += 1


def input_renamed(model):
    model.graph.input[0].name = "other"


def shape_changed(model):
    model.graph.value_info[0].type.tensor_type.shape.dim[1].dim_value += 1


def version_changed(model):
    model.opset_import[0].version -= 1


def note_added(model):
    model.metadata_props.add(key="author", value="somebody")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (weight_changed, "its initializer 'conv2/weight' is another"),
        (operator_dropped, "it has "),
        (operator_changed, ":Conv' is another"),
        (input_renamed, "its input 'other' is another"),
        (shape_changed, "the shape of "),
        (version_changed, "its version or a note in it is another"),
        (note_added, "its version or a note in it is another"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_graph_of_another_network(change, message):
    network = digits_like_network()
    for dialect in DIALECTS:
        model = build_model(network, dialect)
        require_graph_of(network, dialect, model.SerializeToString(), "network.onnx")
        change(model)
        with pytest.raises(OnnxError) as error:
            require_graph_of(network, dialect, model.SerializeToString(), "network.onnx")
        assert "network.onnx: is not the graph of the artifact's network: " in str(error.value)
        assert message in str(error.value)


def test_a_graph_without_inner_shapes_is_the_same():
    """Another version of onnx infers other shapes; nothing that is computed depends on them."""
    network = digits_like_network()
    model = build_model(network)
    del model.graph.value_info[2:]
    require_graph_of(network, "onnx", model.SerializeToString(), "network.onnx")


def test_the_graph_of_another_artifact_is_refused(place):
    other = read_artifact(MIXED.with_name("16bit"))
    data = build_model(other.network).SerializeToString()
    write_artifact(place / "mixed", read_artifact(place / "mixed"), {"onnx": data})
    refused(verify(place), "is not the graph of the artifact's network")


def test_what_is_no_graph_is_refused(place):
    write_artifact(place / "mixed", read_artifact(place / "mixed"), {"onnx": b"\xff" * 40})
    refused(verify(place), "not an ONNX graph")
