"""Holds an imported network against the file that it was read from, run by another program.

A file in QDQ form is run by ONNX Runtime, one in QONNX by the ``qonnx`` package. Each node is held
against the file's own tensors on the file's own inputs of that node, so that a difference is that
node's own. Classes are those of the whole networks.

What runs is the reduced graph: operators that were understood, and tensors inside the file.
"""

import dataclasses
import importlib
import math
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import numpy_helper

from adq.golden.exchange.opening import ExchangeError
from adq.golden.exchange.reading import Imported
from adq.golden.files.json_reader import JsonObject
from adq.golden.integer_network import run
from adq.golden.network import INPUT, Network
from adq.golden.nodes import AveragePool2d, Concat, MatrixLayer, Multiply, Node, Requantizing
from adq.golden.onnx.graph import QONNX_DOMAIN
from adq.golden.requantize import requantize

if TYPE_CHECKING:
    import onnxruntime

BATCH = 256
"""Most images at a time."""

ELEMENTS = 2**26
"""Elements of all tensors that are held at a time, but for those of one image."""

_FLOAT32_ERROR = 2.0**-20
"""Error of a sum of float32 products, relative to the largest that it can be."""


@dataclasses.dataclass
class NodeComparison:
    """Difference of a node's integers from the file's, on the file's own inputs of the node."""

    node: str
    operation: str
    accumulators: int = 0
    differing_accumulators: int = 0
    accumulator_tolerance: float = 0.5
    """Difference up to which accumulators are equal: beyond 0.5 where the file's own float32 sums
    do not tell integers apart."""
    activations: int = 0
    differing_activations: int = 0
    largest_difference: int = 0
    """Largest difference of an activation, in steps of its scale."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """An imported network beside its file."""

    runner: str
    images: int
    nodes: tuple[NodeComparison, ...]
    differing_classes: int
    classes: np.ndarray
    """int64 (N, ...), of the file."""

    @property
    def agrees(self) -> bool:
        """True if no accumulator differs."""
        return not any(node.differing_accumulators for node in self.nodes)

    def to_json(self) -> JsonObject:
        """Return the comparison as JSON values, without the classes of the images."""
        return {
            "runner": self.runner,
            "images": self.images,
            "differing_classes": self.differing_classes,
            "nodes": [dataclasses.asdict(node) for node in self.nodes],
        }


def compare(imported: Imported, images: np.ndarray) -> Comparison:
    """Run the file and the integer network on images (N, ...) as the file takes them.

    Raises
    ------
    ExchangeError
        The images do not suit the network, or the program does not run the file.

    """
    inputs = imported.integers(images)
    original = _Original(imported)
    network = imported.network
    nodes: dict[str, NodeComparison] = {}
    classes, differing = [], 0
    elements = sum(map(math.prod, network.shapes.values()))
    batch = max(1, min(BATCH, ELEMENTS // elements))
    for first in range(0, len(images), batch):
        part = slice(first, first + batch)
        tensors = original.run(images[part])
        found = tensors[imported.graph.outputs[0]].argmax(1)
        own = run(network, inputs[part]).classes
        classes.append(found.reshape(own.shape))
        differing += int((classes[-1] != own).sum())
        forced = _Forced(imported, tensors, inputs[part])
        for node in network.nodes:
            forced.hold(node, nodes.setdefault(node.name, _empty(node, network)))
    return Comparison(
        runner=original.runner,
        images=len(images),
        nodes=tuple(each for each in nodes.values() if each.accumulators or each.activations),
        differing_classes=differing,
        classes=np.concatenate(classes).astype(np.int64),
    )


class _Original:
    """The file's own graph, which also gives its inner tensors."""

    def __init__(self, imported: Imported):
        graph = imported.graph
        names = {each.tensor for each in imported.accumulators.values()}
        names |= {name for name, _ in imported.originals.values()}
        names |= {name for name, _ in imported.codes.values()}
        made = {name for node in graph.model.graph.node for name in node.output}
        self.names = [*graph.outputs, *sorted((names & made) - set(graph.outputs))]
        self.input = graph.input
        self.model = _any_number(graph.model)
        is_qonnx = any(node.domain == QONNX_DOMAIN for node in self.model.graph.node)
        self.runner = "qonnx" if is_qonnx else "ONNX Runtime"
        if is_qonnx:
            importlib.import_module("qonnx")  # its absence is told by name
        else:
            del self.model.graph.output[:]
            self.model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in self.names)
            self._session = _session(self.model)

    def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return the tensors for images."""
        try:
            if self.runner == "qonnx":
                return self._run_qonnx(images)
            arrays = self._session.run(self.names, {self.input: images})
        except Exception as error:  # ONNX Runtime and qonnx have classes of their own
            line = str(error).partition("\n")[0][:300]
            raise ExchangeError(f"{self.runner} does not run the file: {line}") from None
        return dict(zip(self.names, arrays, strict=True))

    def _run_qonnx(self, images: np.ndarray) -> dict[str, np.ndarray]:
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.core.onnx_exec import execute_node
        from qonnx.transformation.infer_shapes import InferShapes

        self.model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = len(images)
        for output in self.model.graph.output:  # of any number of images too
            output.type.tensor_type.ClearField("shape")
        shaped = ModelWrapper(self.model, make_deepcopy=True).transform(InferShapes())
        tensors = {each.name: numpy_helper.to_array(each) for each in shaped.graph.initializer}
        tensors[self.input] = images
        opsets = {each.domain: each.version for each in shaped.model.opset_import}
        for node in shaped.graph.node:
            for name in node.output:
                tensors.setdefault(name, np.zeros(shaped.get_tensor_shape(name), np.float32))
            execute_node(node, tensors, shaped.graph, opset_version=opsets[node.domain])
        return {name: tensors[name] for name in self.names}


class _Forced:
    """Integers of the network, each node on the file's own inputs where the file has them."""

    def __init__(self, imported: Imported, tensors: dict[str, np.ndarray], inputs: np.ndarray):
        self.imported, self.tensors = imported, tensors
        self.network: Network = imported.network
        self.known: dict[str, np.ndarray] = {INPUT: inputs}
        self.sums: dict[str, np.ndarray] = {}

    def hold(self, node: Node, comparison: NodeComparison) -> None:
        """Compare what a node gives with what the file has."""
        own = self._compute(node)
        original = self.imported.accumulators.get(node.name)
        if original is not None and original.tensor in self.tensors and node.name in self.sums:
            sums = self.sums[node.name]
            channels = (-1,) + (1,) * (sums.ndim - 2)
            unit, rest = (each.reshape(channels) for each in (original.unit, original.remainder))
            expected = (self.tensors[original.tensor].reshape(sums.shape) - rest) / unit
            beyond = np.abs(expected - sums) > comparison.accumulator_tolerance
            comparison.accumulators += sums.size
            comparison.differing_accumulators += int(beyond.sum())
        expected = self._of_file(node.name)
        if expected is not None and own is not None:
            difference = np.abs(expected - own)
            comparison.activations += own.size
            comparison.differing_activations += int((difference > 0).sum())
            comparison.largest_difference = max(
                comparison.largest_difference, int(difference.max())
            )

    def _of_file(self, name: str) -> np.ndarray | None:
        """Return the integers of a tensor that the file holds, as integers or in real numbers."""
        codes = self.imported.codes.get(name)
        if codes is not None and codes[0] in self.tensors:
            whole = self.tensors[codes[0]].astype(np.int64) - codes[1]
            return whole.reshape(-1, *self.network.shapes[name])
        found = self.imported.originals.get(name)
        if found is None or found[0] not in self.tensors:
            return None
        original, grid = found
        real = self.tensors[original].astype(np.float64)
        whole = np.rint(real / grid.scale).astype(np.int64) + grid.zero
        return whole.reshape(-1, *self.network.shapes[name])

    def _integers(self, name: str) -> np.ndarray:
        if name == INPUT:
            return self.known[INPUT]
        known = self._of_file(name)
        return self.known[name] if known is None else known

    def _compute(self, node: Node) -> np.ndarray | None:
        """Return a node's activations, as int64 (N, ...); its accumulators are kept."""
        sources = [self._integers(name) for name in node.reads]
        if isinstance(node, Concat):
            output = np.concatenate(sources, axis=1)
        elif isinstance(node, Requantizing):
            total = self._accumulated(node, sources)
            if node.requantize is None:
                return None
            skip = None if node.requantize.skip is None else sources[-1]
            output = requantize(total, node.requantize, skip).astype(np.int64)
        else:
            output = run(self._alone(node), sources[0]).outputs[node.name].astype(np.int64)
        self.known[node.name] = output
        return output

    def _accumulated(self, node: Node, sources: list[np.ndarray]) -> np.ndarray:
        if isinstance(node, Multiply):
            product: np.ndarray = sources[0] * sources[1]
            return product
        if not isinstance(node, MatrixLayer | AveragePool2d):
            return sources[0]
        if node.requantize is not None:
            plain = dataclasses.replace(node.requantize, skip=None, skip_multiplier=None)
            node = dataclasses.replace(node, requantize=plain)
        total = run(self._alone(node), sources[0]).accumulators[node.name]
        self.sums[node.name] = total
        return total

    def _alone(self, node: Node) -> Network:
        """Return a network of this node."""
        return Network(
            name=node.name,
            input_shape=self.network.shapes[node.input],
            input_format=self.network.formats[node.input],
            nodes=(dataclasses.replace(node, input=INPUT),),
        )


def _empty(node: Node, network: Network) -> NodeComparison:
    tolerance = 0.5
    if node.name in network.accumulating:
        tolerance = max(tolerance, network.bounds[node.name].accumulator * _FLOAT32_ERROR)
    return NodeComparison(node.name, type(node).__name__, accumulator_tolerance=tolerance)


def _any_number(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a graph that takes any number of images, where it was written for one."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type != "Reshape" or node.input[1] not in constants:
            continue
        shape = numpy_helper.to_array(constants[node.input[1]]).copy()
        if shape.size > 1 and shape[0] == 1 and 0 not in shape:
            shape[0] = 0
            name = f"{node.output[0]}/shape of any number"
            graph.initializer.append(numpy_helper.from_array(shape, name))
            node.input[1] = name
            attributes = [each for each in node.attribute if each.name != "allowzero"]
            del node.attribute[:]
            node.attribute.extend(attributes)
    return changed


def _session(model: onnx.ModelProto) -> "onnxruntime.InferenceSession":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Every operator as it stands in the file, none merged with its neighbours.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime has a dozen classes of its own, without a base
        line = str(error).partition("\n")[0][:300]
        raise ExchangeError(f"ONNX Runtime does not load the file: {line}") from None
