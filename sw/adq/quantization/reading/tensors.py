"""Tensors of a graph that have been read, and the operations that give them."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import fx, nn

from adq.quantization.reading import operations as ops
from adq.quantization.reading.movement import Moved, canonical, choose, of_one_image
from adq.quantization.reading.operations import Operation
from adq.quantization.reading.tracing import Graph, PrepareError

INPUT = "input"
"""Name of the tensor of the quantized images."""

LONGEST_NAME = 56
"""Characters of a name: an artifact's names have 64, and some of them get a suffix."""

OTHERWISE = (
    "write it with convolutions, linear layers, batch norm, activation functions, pooling, "
    "additions, products, concatenation and indexing"
)
"""Remedy for an operator that has none of its own."""

Arguments = Mapping[str, Any]
"""Arguments of an operator by name. Their types are those that the operator's schema gives."""


class Tensors:
    """The tensors of a graph, node by node, and the operations that they need so far."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.operations: list[Operation] = []
        self.nodes: dict[str, fx.Node] = {}
        """Nodes that have the elements of an operation's tensor, in its order."""
        self.values: dict[fx.Node, object] = {}
        """Moved tensors, constant tensors, or sequences of them."""
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.called: dict[nn.Module, str] = {}
        """Modules that have computed, and their paths: each may do so once."""

    def placeholder(self, node: fx.Node) -> None:
        """Take the images or a constant; parameters and buffers belong to their layers."""
        if node is self.graph.images:
            shape = canonical(node.meta["val"].shape)
            if shape is None:
                raise PrepareError(
                    f"images of shape {tuple(node.meta['val'].shape)} have no integer form: pass "
                    "(N, C, H, W), (N, C, L) or (N, F)"
                )
            self.values[node] = self.add(node, ops.Input, shape=shape, inputs=())
        elif node in self.graph.constants:
            self.values[node] = self.graph.constants[node]

    # Refusals

    def computed(self, parameter: str, function: str) -> PrepareError:
        """Make the error of a parameter that ``forward`` computes with itself."""
        return PrepareError(
            f"{parameter}: forward computes with it ({function}) outside of its layer: use it in "
            "Conv2d, Linear or BatchNorm alone, as it is"
        )

    def refusal(self, node: fx.Node, problem: str, remedy: str) -> PrepareError:
        """Make the error of a node, by the name that a user knows it by."""
        path = self.graph.module_of(node)
        if path is not None and problem.startswith("the function"):
            kind = type(self.graph.network.get_submodule(path)).__name__
            problem = f"{kind} has no integer form"
        return PrepareError(f"{self.graph.where(node)}: {problem}: {remedy}")

    def check(self, condition: bool, node: fx.Node, problem: str, remedy: str) -> None:
        """Refuse a node unless a condition holds."""
        if not condition:
            raise self.refusal(node, problem, remedy)

    # Tensors

    def value(self, node: fx.Node, source: fx.Node) -> Moved:
        """Return the tensor that a node reads from another."""
        value = self.values.get(source)
        if isinstance(value, Moved):
            return value
        if source in self.graph.tensors:
            raise self.computed(self.graph.tensors[source], operator_name(node))
        raise self.refusal(
            node,
            f"the function {operator_name(node)} of constants has no integer form",
            "put constants into a bias",
        )

    def form(self, node: fx.Node, shape: torch.Size) -> tuple[int, ...]:
        """Return the integer network's shape of a tensor."""
        found = canonical(shape)
        if found is None:
            raise self.refusal(
                node,
                f"a tensor of shape {tuple(shape)} has no integer form",
                "compute with (N, C, H, W), (N, C, L) or (N, F)",
            )
        return found

    def tensor(self, node: fx.Node, value: Moved) -> str:
        """Return the operation that gives a tensor as it stands, a new one where it was moved."""
        shape, source = self.form(node, value.shape), self.shapes[value.operation]
        if value.positions is None and shape == source:
            return value.operation
        size = torch.Size(source).numel()
        positions = of_one_image(value.where(), size)
        if positions is None:
            raise self.refusal(
                node,
                "its input mixes the images of a batch, which has no integer form",
                "leave the first dimension alone",
            )
        if torch.equal(positions.flatten(), torch.arange(size)):
            return self._reshaped(value.operation, shape)
        # Somewhere on the way the elements were an image, in which they were chosen.
        shapes = [canonical(each) for each in value.passed]
        before = [source, *(each for each in shapes if each is not None)]
        after = [shape, *(each for each in reversed(shapes) if each is not None)]
        for first in before:
            for last in after:
                found = self._chosen(value.operation, positions, first, last)
                if found is not None:
                    return self._reshaped(found, shape)
        raise self.refusal(
            node,
            "its input is indexed in a way that has no integer form",
            "choose whole channels, rows or columns",
        )

    def output(self, node: fx.Node) -> tuple[str, torch.Size]:
        """Return the operation of a tensor that the network returns, and its shape there."""
        value = self.values.get(node)
        if not isinstance(value, Moved):
            raise PrepareError(
                f"{node.name}: the network returns a tensor that does not depend on the images: "
                "remove it from forward"
            )
        if value.positions is not None:
            size = torch.Size(self.shapes[value.operation]).numel()
            positions = of_one_image(value.positions, size)
            if positions is not None and torch.equal(positions.flatten(), torch.arange(size)):
                return value.operation, value.shape
            return self.tensor(node, value), value.shape
        return value.operation, value.shape

    # Operations

    def add(
        self, node: fx.Node, kind: type[Operation], *, name: str | None = None,
        inputs: tuple[str, ...] | None = None, shape: tuple[int, ...] | None = None,
        suffix: str = "", **fields: object,
    ) -> Moved:  # fmt: skip
        """Add an operation for a node, by default of the node's first argument."""
        size = result_shape(node)
        shape = shape or self.form(node, size)
        if inputs is None:
            source = node.args[0]
            if not isinstance(source, fx.Node):
                raise AssertionError(f"{node.name} reads no tensor")
            inputs = (self.tensor(node, self.value(node, source)),)
        if name is None:
            path = self.graph.module_of(node)
            name = self._new((path or node.name).replace(".", "_") + suffix, shape)
        else:
            self.shapes[name] = shape
        self.operations.append(kind(name=name, inputs=inputs, shape=shape, **fields))
        self.nodes[name] = node
        return Moved(name, size)

    def module(
        self, node: fx.Node, kinds: tuple[type[nn.Module], ...], **given: fx.Node | None
    ) -> str:
        """Return the path of the module whose own tensors a node computes with."""
        function = operator_name(node)
        path: str | None = None
        for attribute, source in given.items():
            if source is None:
                continue
            name = self.graph.tensors.get(source)
            if name is None:
                raise self.refusal(
                    node,
                    f"the {attribute} of this {function} is computed in forward",
                    "use a module such as nn.Conv2d or nn.Linear with parameters of its own",
                )
            owner, _, found = name.rpartition(".")
            path = owner if path is None else path
            self.check(
                (owner, found) == (path, attribute),
                node,
                f"{name} is the {attribute} of this {function}, whose module is {path}",
                "use the module with parameters of its own",
            )
        if path is None:
            raise AssertionError(f"{node.name}: {function} has no tensors of its own")
        module = self.graph.network.get_submodule(path)
        self.check(
            isinstance(module, kinds),
            node,
            f"{path or type(module).__name__} is no module of this function",
            f"use nn.{kinds[0].__name__.lstrip('_')}",
        )
        if module in self.called:
            raise PrepareError(
                f"{path}: the module is called more than once: give each call a module of its "
                "own: their densities and ranges differ"
            )
        self.called[module] = path
        return path

    def _chosen(
        self, source: str, positions: torch.Tensor, first: tuple[int, ...], last: tuple[int, ...]
    ) -> str | None:
        """Choose elements of a tensor seen as ``first``, for one of shape ``last``, if possible."""
        size = torch.Size(self.shapes[source]).numel()
        if torch.Size(first).numel() != size or torch.Size(last).numel() != positions.numel():
            return None
        if len(first) != len(last):
            return None
        vectors = len(first) == 1
        image = (*first, 1, 1) if vectors else first
        chosen = choose(positions.reshape((*last, 1, 1) if vectors else last), image)
        if chosen is None:
            return None
        source = self._reshaped(source, first)
        rows, columns = (None, None) if vectors else (chosen.rows, chosen.columns)
        name = self._new("gather", last)
        self.operations.append(
            ops.Gather(name=name, inputs=(source,), shape=last, channels=chosen.channels,
                       rows=rows, columns=columns)
        )  # fmt: skip
        return name

    def _reshaped(self, source: str, shape: tuple[int, ...]) -> str:
        if self.shapes[source] == shape:
            return source
        kind = ops.Flatten if len(shape) == 1 else ops.Reshape
        name = self._new(kind.__name__.lower(), shape)
        self.operations.append(kind(name=name, inputs=(source,), shape=shape))
        return name

    def _new(self, name: str, shape: tuple[int, ...]) -> str:
        """Return a name that an artifact takes, that no operation has and no layer will have."""
        name = re.sub(r"[^A-Za-z0-9_-]", "_", name)[-LONGEST_NAME:]
        taken = self.shapes.keys() | dict(self.graph.network.named_modules()).keys()
        own = name == INPUT or name in self.shapes or not _is_free(self.graph.network, name)
        if own:
            count = 1
            taken |= {INPUT}
            while f"{name}_{count}" in taken:
                count += 1
            name = f"{name}_{count}"
        self.shapes[name] = shape
        return name


def _is_free(network: nn.Module, name: str) -> bool:
    """Return whether no layer has a name, so that an operation may have it."""
    try:
        module = network.get_submodule(name)
    except AttributeError:
        return True
    return not isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear)


def operator_name(node: fx.Node) -> str:
    """Return the name of a node's operator, as its schema has it."""
    target = node.target
    if isinstance(target, torch._ops.OpOverload):
        return target._schema.name.partition("::")[2]
    return getattr(target, "__name__", str(target))


def result_shape(node: fx.Node) -> torch.Size:
    """Return the shape of a node's tensor, the first of them where it gives several."""
    value: torch.Tensor | tuple[torch.Tensor, ...] = node.meta["val"]
    return value.shape if isinstance(value, torch.Tensor) else value[0].shape


def pair(value: int | tuple[int, ...] | list[int]) -> tuple[int, int]:
    """Return the sides of a window, which PyTorch takes as one number where they are equal."""
    return (value, value) if isinstance(value, int) else (value[0], value[-1])
