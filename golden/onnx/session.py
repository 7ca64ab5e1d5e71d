"""Runs the ONNX graphs of ``adq.golden.onnx.graph``, and returns every integer in them."""

import os
import sys

import numpy as np
import onnx
import onnxruntime

from adq.golden.integer_network import Trace
from adq.golden.network import INPUT, Network
from adq.golden.onnx.check import OnnxError, require_self_contained
from adq.golden.onnx.graph import accumulator_name, output_name

BATCH = 64
"""Images that ONNX Runtime takes at a time."""

PIECE = 24
"""Operators of a graph that the executor of ``qonnx`` gets at a time."""


def session(model: onnx.ModelProto, *, threads: int | None = None) -> onnxruntime.InferenceSession:
    """Load a graph into ONNX Runtime on the CPU, with as many threads as this process has cores.

    Raises
    ------
    OnnxError
        The graph reaches further than itself, or ONNX Runtime does not load it.

    """
    require_self_contained(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or len(os.sched_getaffinity(0))
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime has a dozen classes of its own, without a base
        raise OnnxError(f"ONNX Runtime does not load the graph: {_first_line(error)}") from None


def run_onnx(network: Network, model: onnx.ModelProto, inputs: np.ndarray) -> Trace:
    """Run a plain graph of a network on integer images (N, C, H, W), and keep every integer.

    Raises
    ------
    NetworkError
        The inputs do not suit the network.
    OnnxError
        The graph is not one of this network.

    """
    inputs = network.check_inputs(inputs)
    names = _tensors(network)
    runtime = session(_showing(model, names))
    try:
        batches = [
            runtime.run(names, {INPUT: inputs[first : first + BATCH]})
            for first in range(0, len(inputs), BATCH)
        ]
    except Exception as error:
        raise OnnxError(f"ONNX Runtime does not run the graph: {_first_line(error)}") from None
    return _trace(network, _joined(names, batches))


def run_qonnx(network: Network, model: onnx.ModelProto, inputs: np.ndarray) -> Trace:
    """Run a QONNX graph by the ``qonnx`` package's executor, batch by batch of the graph's size.

    Raises
    ------
    NetworkError
        The inputs do not suit the network, or are not whole batches.
    OnnxError
        The graph is not one of this network.

    """
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx

    require_self_contained(model)
    inputs = network.check_inputs(inputs).astype(np.float32)
    names = _tensors(network)
    pieces = [ModelWrapper(piece) for piece in _pieces(model, names)]
    batch = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    batches = []
    for first in range(0, len(inputs), batch):
        tensors = {INPUT: inputs[first : first + batch]}
        try:
            for piece in pieces:
                given = {value.name: tensors[value.name] for value in piece.graph.input}
                context = execute_onnx(piece, given, True)
                tensors |= {value.name: context[value.name] for value in piece.graph.output}
            batches.append([tensors[name] for name in names])
        except Exception as error:
            raise OnnxError(f"qonnx does not run the graph: {_first_line(error)}") from None
    return _trace(network, _joined(names, batches))


def _joined(names: list[str], batches: list[list[np.ndarray]]) -> dict[str, np.ndarray]:
    """Join the tensors of batches, by name."""
    return dict(zip(names, map(np.concatenate, zip(*batches, strict=True)), strict=True))


def _pieces(model: onnx.ModelProto, wanted: list[str]) -> list[onnx.ModelProto]:
    """Cut a graph into graphs of a few operators, which give the tensors that others read.

    The executor of ``qonnx`` looks through the whole graph for every tensor of every operator: its
    time grows with the square of the operators.
    """
    graph = model.graph
    values = {each.name: each for each in (*graph.input, *graph.value_info, *graph.output)}
    weights = {each.name: each for each in graph.initializer}
    for name in wanted:
        if name not in values:
            raise OnnxError(f"the graph has no tensor {name}: it is not one of this network")
    last_read = dict.fromkeys(wanted, sys.maxsize)
    for place, node in enumerate(graph.node):
        for name in node.input:
            last_read[name] = max(place, last_read.get(name, 0))
    pieces = []
    for first in range(0, len(graph.node), PIECE):
        nodes = graph.node[first : first + PIECE]
        made = {name: None for node in nodes for name in node.output}
        read = {name: None for node in nodes for name in node.input if name}
        given = [values[name] for name in read if name not in made and name not in weights]
        kept = [name for name in made if last_read.get(name, -1) >= first + PIECE]
        piece = onnx.helper.make_graph(
            nodes,
            f"{graph.name} from {first}",
            given,
            [values[name] for name in kept],
            [weights[name] for name in read if name in weights],
            value_info=[values[name] for name in made if name not in kept and name in values],
        )
        pieces.append(
            onnx.helper.make_model(
                piece, opset_imports=model.opset_import, ir_version=model.ir_version
            )
        )
    return pieces


def _tensors(network: Network) -> list[str]:
    """Return the names of all tensors in which a graph holds the network's integers."""
    accumulators = [accumulator_name(name) for name in network.accumulating]
    activations = [name for name in network.formats if name != INPUT]
    return [*accumulators, *activations, output_name(network, network.outputs[0])]


def _showing(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    """Return a graph whose tensors of these names are outputs."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    values = {value.name: value for value in (*model.graph.value_info, *model.graph.output)}
    for name in names:
        if name not in values:
            raise OnnxError(f"the graph has no tensor {name}: it is not one of this network")
    del shown.graph.output[:]
    shown.graph.output.extend(values[name] for name in names)
    return shown


def _trace(network: Network, tensors: dict[str, np.ndarray]) -> Trace:
    """Sort a graph's tensors into what the network calls them."""

    def integers(name: str) -> np.ndarray:
        array = tensors[name]
        whole = array.astype(np.int64)
        if not np.array_equal(whole, array):
            raise OnnxError(f"tensor {name} holds numbers that are no integers")
        return whole

    return Trace(
        accumulators={name: integers(accumulator_name(name)) for name in network.accumulating},
        outputs={name: integers(name) for name in network.formats if name != INPUT},
        logits=integers(output_name(network, network.outputs[0])),
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]
