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


class OnnxRun:
    """A plain graph of a network in ONNX Runtime, loaded once.

    Raises
    ------
    OnnxError
        The graph is not one of this network, or ONNX Runtime does not load it.

    """

    def __init__(self, network: Network, model: onnx.ModelProto):
        self._network = network
        self._names = _tensors(network)
        self._runtime = session(_showing(model, self._names))

    def __call__(self, inputs: np.ndarray) -> Trace:
        """Run the graph on integer images (N, C, H, W), and keep every integer.

        Raises
        ------
        NetworkError
            The inputs do not suit the network.
        OnnxError
            The graph is not one of this network.

        """
        inputs = self._network.check_inputs(inputs)
        try:
            batches = [
                self._runtime.run(self._names, {INPUT: inputs[first : first + BATCH]})
                for first in range(0, len(inputs), BATCH)
            ]
        except Exception as error:
            raise OnnxError(f"ONNX Runtime does not run the graph: {_first_line(error)}") from None
        return _joined(self._network, self._names, batches)


class QonnxRun:
    """A QONNX graph of a network in the executor of the ``qonnx`` package, prepared once.

    Raises
    ------
    OnnxError
        The graph reaches further than itself, or is not one of this network.

    """

    def __init__(self, network: Network, model: onnx.ModelProto):
        from qonnx.core.modelwrapper import ModelWrapper

        require_self_contained(model)
        self._network = network
        self._names = _tensors(network)
        self._pieces = [ModelWrapper(piece) for piece in _pieces(model, self._names)]
        self._batch = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value

    def __call__(self, inputs: np.ndarray) -> Trace:
        """Run the graph on integer images, batch by batch of the graph's size; see ``OnnxRun``.

        Raises
        ------
        NetworkError
            The inputs do not suit the network.
        OnnxError
            The inputs are not whole batches, or ``qonnx`` does not run the graph.

        """
        from qonnx.core.onnx_exec import execute_onnx

        inputs = self._network.check_inputs(inputs).astype(np.float32)
        batches = []
        for first in range(0, len(inputs), self._batch):
            tensors = {INPUT: inputs[first : first + self._batch]}
            try:
                for piece in self._pieces:
                    given = {value.name: tensors[value.name] for value in piece.graph.input}
                    context = execute_onnx(piece, given, True)
                    tensors |= {value.name: context[value.name] for value in piece.graph.output}
                batches.append([tensors[name] for name in self._names])
            except Exception as error:
                raise OnnxError(f"qonnx does not run the graph: {_first_line(error)}") from None
        return _joined(self._network, self._names, batches)


def _joined(network: Network, names: list[str], batches: list[list[np.ndarray]]) -> Trace:
    """Join the tensors of several runs."""
    tensors = zip(names, map(np.concatenate, zip(*batches, strict=True)), strict=True)
    return _trace(network, dict(tensors))


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
