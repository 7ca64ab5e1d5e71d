"""A network's operations in order, from its graph."""

import operator
from collections.abc import Callable

import torch
from torch import fx

from adq.quantization.reading import joins, layers, windows
from adq.quantization.reading import operations as ops
from adq.quantization.reading.movement import MOVEMENTS, Moved
from adq.quantization.reading.operations import Operation
from adq.quantization.reading.tensors import OTHERWISE, Arguments, Tensors, operator_name
from adq.quantization.reading.tracing import Graph, computed

_OPERATORS: dict[str, Callable[[Tensors, fx.Node, Arguments], Moved | tuple[Moved]]] = {
    "conv1d": layers.convolution,
    "conv2d": layers.convolution,
    "linear": layers.linear,
    "_native_batch_norm_legit_no_training": layers.norm,
    "_native_batch_norm_legit": layers.norm_of_batch,
    "native_batch_norm": layers.norm_of_batch,
    "batch_norm": layers.norm_of_batch,
    "relu": layers.relu,
    "hardtanh": layers.clipped,
    "relu6": layers.clipped,
    "clamp": layers.clipped,
    "clamp_min": layers.clipped,
    "add": joins.addition,
    "mul": joins.product,
    "max_pool1d": windows.max_pool,
    "max_pool2d": windows.max_pool,
    "max_pool2d_with_indices": windows.max_pool,
    "adaptive_max_pool1d": windows.adaptive_max_pool,
    "adaptive_max_pool2d": windows.adaptive_max_pool,
    "avg_pool1d": windows.average_pool,
    "avg_pool2d": windows.average_pool,
    "adaptive_avg_pool1d": windows.adaptive_average_pool,
    "adaptive_avg_pool2d": windows.adaptive_average_pool,
    "_adaptive_avg_pool2d": windows.adaptive_average_pool,
    "mean": windows.mean,
}
"""Readers of operators by the operators' names."""

ELEMENTWISE = frozenset(
    (
        "sigmoid", "tanh", "silu", "gelu", "hardswish",
        "hardsigmoid", "hardtanh", "leaky_relu", "elu", "celu",
        "selu", "softplus", "mish", "clamp", "clamp_min",
        "clamp_max", "abs", "neg", "relu6", "softsign",
        "log_sigmoid", "hardshrink", "softshrink",
    )
)  # fmt: skip
"""Names of operators of single elements that become tables."""

REMEDIES = {
    "log_softmax": "return the logits, and train with cross_entropy",
    "_log_softmax": "return the logits, and train with cross_entropy",
    "softmax": "return the logits, and train with cross_entropy",
    "_softmax": "return the logits, and train with cross_entropy",
    "conv3d": "use Conv2d",
    "layer_norm": "use BatchNorm2d, whose statistics are fixed after training",
    "group_norm": "use BatchNorm2d, whose statistics are fixed after training",
    "instance_norm": "use BatchNorm2d, whose statistics are fixed after training",
    "prelu": "its slope is learned, and a table is not: use LeakyReLU or ReLU",
    "upsample_bilinear2d": "use nn.Upsample(mode='nearest')",
    "upsample_bicubic2d": "use nn.Upsample(mode='nearest')",
    "conv_transpose2d": "use nn.Upsample(mode='nearest') and a Conv2d",
    "conv_transpose1d": "use nn.Upsample(mode='nearest') and a Conv1d",
    "matmul": "products of two activations, as in attention, do not fit the tile's weights",
    "bmm": "products of two activations, as in attention, do not fit the tile's weights",
    "scaled_dot_product_attention": "use convolutions",
    "pixel_shuffle": "use nn.Upsample(mode='nearest') and a Conv2d",
    "lstm": "use convolutions over time",
    "gru": "use convolutions over time",
    "div": "scale the weights of the layer before it instead",
    "sub": "put constants into the bias of the layer before it, and signs into its weights",
}
"""Remedies: what to write instead of operators that have no integer form."""


class Read:
    """The operations of a network, and where their tensors stand in its graph."""

    def __init__(self, graph: Graph):
        self.graph = graph
        tensors = Tensors(graph)
        for node in graph.graph.nodes:
            if node.op == "placeholder":
                tensors.placeholder(node)
            elif node.op == "call_function":
                tensors.values[node] = _read(tensors, node)
        self.outputs: list[tuple[str, torch.Size]] = [
            tensors.output(each) for each in graph.outputs
        ]
        """Operations whose tensors the network returns, and their shapes there, with N."""
        self.operations: list[Operation] = tensors.operations
        """In order."""
        self.nodes: dict[str, fx.Node] = tensors.nodes
        """Nodes that have the elements of an operation's tensor, in its order."""


def _read(tensors: Tensors, node: fx.Node) -> object:
    """Return the value of a node: a moved tensor, a constant, or a sequence of them."""
    name = operator_name(node)
    if node.target is operator.getitem:
        source, place = node.args
        values = tensors.values[source] if isinstance(source, fx.Node) else None
        if not (isinstance(values, list | tuple) and isinstance(place, int)):
            raise tensors.refusal(node, f"the function {name} has no integer form", OTHERWISE)
        return values[place]
    if node.target is torch.ops.adq.dropout.default:
        module = tensors.graph.network.get_submodule(str(node.args[1]))
        return tensors.add(node, ops.Dropout, module=module)
    sources = node.all_input_nodes
    constant = all(isinstance(tensors.values.get(each), torch.Tensor) for each in sources)
    if constant and not any(each in tensors.graph.tensors for each in sources):
        return computed(node, tensors.values.__getitem__)
    given = _bound(node)
    if name in _OPERATORS:
        return _OPERATORS[name](tensors, node, given)
    if name in ELEMENTWISE:
        return layers.elementwise(tensors, node)
    if name in MOVEMENTS:
        return joins.movement(tensors, node, name, given)
    for parameter in sources:
        if parameter in tensors.graph.tensors and tensors.graph.module_of(node) is None:
            raise tensors.computed(tensors.graph.tensors[parameter], name)
    remedy = REMEDIES.get(name.removesuffix("_backward"), OTHERWISE)
    raise tensors.refusal(node, f"the function {name} has no integer form", remedy)


def _bound(node: fx.Node) -> Arguments:
    """Return every argument of an operator by its name in the operator's schema; ``self`` is
    ``input``.
    """
    if not isinstance(node.target, torch._ops.OpOverload):
        return {}
    bound = {}
    for position, argument in enumerate(node.target._schema.arguments):
        name = "input" if argument.name == "self" else argument.name
        if position < len(node.args):
            bound[name] = node.args[position]
        elif argument.name in node.kwargs:
            bound[name] = node.kwargs[argument.name]
        else:
            bound[name] = argument.default_value
    return bound
