"""From a network's graph to the operations that the integer network knows."""

import functools
import operator
import re
from collections.abc import Callable

import torch
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from adq.quantization import operations as ops
from adq.quantization.movement import MOVEMENTS, Moved, canonical, choose, of_one_image
from adq.quantization.operations import Operation
from adq.quantization.tracing import Graph, PrepareError

INPUT = "input"
"""Name of the tensor of the quantized images."""

LONGEST_NAME = 56
"""Characters of a name: an artifact's names have 64, and some of them get a suffix."""

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
"""What to write instead of operators that have no integer form."""

OTHERWISE = (
    "write it with convolutions, linear layers, batch norm, activation functions, pooling, "
    "additions, products, concatenation and indexing"
)


class Read:
    """The operations of a network, and where their tensors stand in its graph."""

    def __init__(self, graph: Graph):
        self.graph = graph
        reader = _Reader(graph)
        self.operations: list[Operation] = reader.operations
        """In order."""
        self.outputs: list[tuple[str, torch.Size]] = reader.outputs
        """Operations whose tensors the network returns, and their shapes there, with N."""
        self.nodes: dict[str, fx.Node] = reader.nodes
        """Nodes that have the elements of an operation's tensor, in its order."""


class _Reader:
    def __init__(self, graph: Graph):
        self.graph = graph
        self.operations: list[Operation] = []
        self.nodes: dict[str, fx.Node] = {}
        self.values: dict[fx.Node, object] = {}
        """Moved tensors, constant tensors, or sequences of them."""
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.called: dict[nn.Module, str] = {}
        for node in graph.graph.nodes:
            if node.op == "placeholder":
                self._placeholder(node)
            elif node.op == "call_function":
                self.values[node] = self._read(node)
        self.outputs = [self._output(node) for node in graph.outputs]

    # Nodes

    def _placeholder(self, node: fx.Node) -> None:
        if node is self.graph.images:
            shape = canonical(node.meta["val"].shape)
            if shape is None:
                raise PrepareError(
                    f"images of shape {tuple(node.meta['val'].shape)} have no integer form: pass "
                    "(N, C, H, W), (N, C, L) or (N, F)"
                )
            self.values[node] = self._add(node, ops.Input, shape=shape, inputs=())
        elif node in self.graph.constants:
            self.values[node] = self.graph.constants[node]

    def _read(self, node: fx.Node) -> object:
        name = _operator_name(node)
        tensors = [self.values.get(each) for each in node.all_input_nodes]
        if node.target is operator.getitem:
            return self.values[node.args[0]][node.args[1]]
        if node.target is torch.ops.adq.dropout.default:
            module = self.graph.network.get_submodule(node.args[1])
            return self._add(node, ops.Dropout, module=module)
        if all(isinstance(each, torch.Tensor) for each in tensors):
            parameters = [each for each in node.all_input_nodes if each in self.graph.tensors]
            if not parameters:
                args, kwargs = fx.node.map_arg((node.args, node.kwargs), self.values.__getitem__)
                return node.target(*args, **kwargs)
        reads: dict[str, Callable[[fx.Node, dict], object]] = {
            "conv1d": self._convolution,
            "conv2d": self._convolution,
            "linear": self._linear,
            "_native_batch_norm_legit_no_training": self._norm,
            "_native_batch_norm_legit": self._norm_of_batch,
            "native_batch_norm": self._norm_of_batch,
            "batch_norm": self._norm_of_batch,
            "relu": self._relu,
            "hardtanh": self._clipped,
            "relu6": self._clipped,
            "clamp": self._clipped,
            "clamp_min": self._clipped,
            "add": self._addition,
            "mul": self._product,
            "max_pool1d": self._max_pool,
            "max_pool2d": self._max_pool,
            "max_pool2d_with_indices": self._max_pool,
            "adaptive_max_pool1d": self._adaptive_max_pool,
            "adaptive_max_pool2d": self._adaptive_max_pool,
            "avg_pool1d": self._average_pool,
            "avg_pool2d": self._average_pool,
            "adaptive_avg_pool1d": self._adaptive_average_pool,
            "adaptive_avg_pool2d": self._adaptive_average_pool,
            "_adaptive_avg_pool2d": self._adaptive_average_pool,
            "mean": self._mean,
        }
        given = _bound(node)
        if name in reads:
            return reads[name](node, given)
        if name in ELEMENTWISE:
            return self._elementwise(node)
        if name in MOVEMENTS:
            return self._movement(node, name, given)
        for parameter in node.all_input_nodes:
            if parameter in self.graph.tensors and self.graph.module_of(node) is None:
                raise self._computed(self.graph.tensors[parameter], name)
        raise self._refusal(node, f"the function {name} has no integer form", _remedy(name))

    def _computed(self, parameter: str, function: str) -> PrepareError:
        return PrepareError(
            f"{parameter}: forward computes with it ({function}) outside of its layer: use it in "
            "Conv2d, Linear or BatchNorm alone, as it is"
        )

    def _refusal(self, node: fx.Node, problem: str, remedy: str) -> PrepareError:
        path = self.graph.module_of(node)
        if path is not None and problem.startswith("the function"):
            kind = type(self.graph.network.get_submodule(path)).__name__
            problem = f"{kind} has no integer form"
        return PrepareError(f"{self.graph.where(node)}: {problem}: {remedy}")

    def _check(self, condition: bool, node: fx.Node, problem: str, remedy: str) -> None:
        if not condition:
            raise self._refusal(node, problem, remedy)

    # Layers

    def _module(self, node: fx.Node, kinds: type | tuple[type, ...], **given: object) -> str:
        """Return the name of the module whose own tensors a node computes with."""
        function = _operator_name(node)
        path = None
        for attribute, source in given.items():
            if source is None:
                continue
            name = self.graph.tensors.get(source)
            self._check(
                name is not None,
                node,
                f"the {attribute} of this {function} is computed in forward",
                "use a module such as nn.Conv2d or nn.Linear with parameters of its own",
            )
            owner, _, found = name.rpartition(".")
            path = owner if path is None else path
            self._check(
                (owner, found) == (path, attribute),
                node,
                f"{name} is the {attribute} of this {function}, whose module is {path}",
                "use the module with parameters of its own",
            )
        module = self.graph.network.get_submodule(path)
        kind = kinds[0] if isinstance(kinds, tuple) else kinds
        self._check(
            isinstance(module, kinds),
            node,
            f"{path or type(module).__name__} is no module of this function",
            f"use nn.{kind.__name__.lstrip('_')}",
        )
        if module in self.called:
            raise PrepareError(
                f"{path}: the module is called more than once: give each call a module of its "
                "own: their densities and ranges differ"
            )
        self.called[module] = path
        return path

    def _convolution(self, node: fx.Node, given: dict) -> Moved:
        path = self._module(
            node, (nn.Conv2d, nn.Conv1d), weight=given["weight"], bias=given["bias"]
        )
        module = self.graph.network.get_submodule(path)
        own = {each: pair(getattr(module, each)) for each in ("stride", "dilation")}
        for argument, value in own.items():
            self._check(
                pair(given[argument]) == value and given["groups"] == module.groups,
                node,
                f"its {argument} or groups are not those of {path}",
                "call the module itself",
            )
        source, padding = self._value(node, given["input"]), given["padding"]
        if isinstance(padding, str):
            source, padding = self._padded_same(source, module, padding)
        padding = pair(padding)
        if module.weight.dim() == 3:
            padding = (0, padding[0])
        return self._add(
            node, ops.Layer, name=path, module=module, padding=padding,
            inputs=(self._tensor(node, source),),
        )  # fmt: skip

    def _padded_same(self, source: Moved, module: nn.Module, padding: str) -> tuple:
        """Images and the padding that is the same at both ends; the rest of it stands in them."""
        if padding == "valid":
            return source, 0
        totals = [
            step * (side - 1)
            for step, side in zip(module.dilation, module.kernel_size, strict=True)
        ]
        if any(total % 2 for total in totals):
            ends = [end for total in reversed(totals) for end in (0, total % 2)]
            source = source.moved(nn.functional.pad(source.where(), ends))
        return source, [total // 2 for total in totals]

    def _linear(self, node: fx.Node, given: dict) -> Moved:
        path = self._module(node, nn.Linear, weight=given["weight"], bias=given["bias"])
        source = self._value(node, given["input"])
        self._check(
            len(source.shape) == 2,
            node,
            f"a linear layer on a tensor of shape {tuple(source.shape)} has no integer form",
            "flatten images first, with torch.flatten(x, 1), or use a 1x1 convolution",
        )
        module = self.graph.network.get_submodule(path)
        return self._add(
            node, ops.Layer, name=path, module=module, padding=(0, 0),
            inputs=(self._tensor(node, source),),
        )  # fmt: skip

    def _norm(self, node: fx.Node, given: dict) -> tuple[Moved]:
        path = self._module(
            node, _BatchNorm, running_mean=given["running_mean"],
            running_var=given["running_var"], weight=given["weight"], bias=given["bias"],
        )  # fmt: skip
        module = self.graph.network.get_submodule(path)
        self._check(given["eps"] == module.eps, node, "its eps is not the module's", "use its own")
        return (self._add(node, ops.Norm, module=module),)

    def _norm_of_batch(self, node: fx.Node, given: dict) -> object:
        raise self._refusal(
            node,
            "batch norm without running statistics changes with every batch",
            "set track_running_stats=True",
        )

    # Activation functions

    def _relu(self, node: fx.Node, given: dict) -> Moved:
        return self._add(node, ops.Relu)

    def _clipped(self, node: fx.Node, given: dict) -> Moved:
        lo, hi = (
            (0.0, 6.0)
            if _operator_name(node) == "relu6"
            else (given.get("min_val", given.get("min")), given.get("max_val", given.get("max")))
        )
        if any(isinstance(each, fx.Node) for each in (lo, hi)):
            raise self._refusal(node, "limits that are tensors have no integer form", "use numbers")
        if lo == 0 and (hi is None or hi > 0):
            return self._add(node, ops.Relu, limit=None if hi is None else float(hi))
        return self._elementwise(node)

    def _elementwise(self, node: fx.Node) -> Moved:
        self._check(
            len(node.all_input_nodes) == 1 and isinstance(node.args[0], fx.Node),
            node,
            f"{_operator_name(node)} of more than one tensor has no integer form",
            OTHERWISE,
        )
        function = functools.partial(_apply, node.target, tuple(node.args[1:]), dict(node.kwargs))
        return self._add(node, ops.Activation, function=function)

    # Several tensors

    def _addition(self, node: fx.Node, given: dict) -> Moved:
        one, other = (self.values.get(given[each]) for each in ("input", "other")
                      if isinstance(given[each], fx.Node)) if isinstance(
            given["other"], fx.Node) else (None, None)  # fmt: skip
        self._check(
            isinstance(one, Moved) and isinstance(other, Moved) and one.shape == other.shape
            and given["alpha"] == 1,
            node,
            "an addition that is not of two tensors of one shape has no integer form",
            "add the outputs of two layers, and put constants into a bias",
        )  # fmt: skip
        inputs = (self._tensor(node, one), self._tensor(node, other))
        return self._add(node, ops.Add, inputs=inputs)

    def _product(self, node: fx.Node, given: dict) -> Moved:
        both = [
            self.values.get(given[each]) if isinstance(given[each], fx.Node) else None
            for each in ("input", "other")
        ]
        self._check(
            all(isinstance(each, Moved) for each in both),
            node,
            "the function mul has no integer form for constants",
            "scale the weights of a layer instead",
        )
        both.sort(key=lambda each: -each.shape.numel())
        large, small = both
        gates = large.shape[:2] == small.shape[:2] and all(side == 1 for side in small.shape[2:])
        self._check(
            large.shape == small.shape or (gates and large.shape.numel() > 0 and
                                           len(large.shape) == len(small.shape)),
            node,
            f"a product of {tuple(large.shape)} and {tuple(small.shape)} has no integer form",
            "multiply tensors of one shape, or (N, C, H, W) with (N, C, 1, 1)",
        )  # fmt: skip
        inputs = (self._tensor(node, large), self._tensor(node, small))
        return self._add(node, ops.Multiply, inputs=inputs)

    def _concatenation(self, node: fx.Node, parts: list[Moved], dimension: int) -> Moved:
        self._check(
            dimension % len(parts[0].shape) == 1,
            node,
            "a concatenation that is not along the channels has no integer form",
            "write torch.cat(tensors, 1)",
        )
        inputs = tuple(self._tensor(node, part) for part in parts)
        return self._add(node, ops.Concat, inputs=inputs)

    # Windows

    def _windows(self, node: fx.Node, given: dict) -> tuple[list, list, list]:
        """Kernel, stride and padding over height and width; (1, k) over a length."""
        sides = len(node.meta["val"].shape if isinstance(node.meta["val"], torch.Tensor)
                    else node.meta["val"][0].shape) - 2  # fmt: skip
        kernel = _sides(given["kernel_size"], sides)
        stride = _sides(given["stride"] or given["kernel_size"], sides)
        padding = _sides(given["padding"], sides)
        if sides == 1:
            return [1, *kernel], [1, *stride], [0, *padding]
        return kernel, stride, padding

    def _max_pool(self, node: fx.Node, given: dict) -> Moved:
        kernel, stride, padding = self._windows(node, given)
        self._check(
            all(each == 1 for each in _sides(given["dilation"], 1)),
            node,
            "maximum pooling with dilation has no integer form",
            "leave the dilation out",
        )
        source = self._value(node, given["input"])
        if given["ceil_mode"]:
            source = self._grown(source, kernel, stride, padding)
        result = self._add(
            node, ops.MaxPool, kernel=tuple(kernel), stride=tuple(stride), padding=tuple(padding),
            inputs=(self._tensor(node, source),),
        )  # fmt: skip
        return result if isinstance(node.meta["val"], torch.Tensor) else (result,)

    def _grown(self, source: Moved, kernel: list, stride: list, padding: list) -> Moved:
        """Repeat the last row and column, so that windows that reach beyond them are whole.

        Each such window has its image's last element in it, so that its largest stays.
        """
        positions = source.where()
        for axis in range(len(source.shape) - 2):
            place = axis + 4 - len(source.shape)
            size, k, s, p = source.shape[2 + axis], kernel[place], stride[place], padding[place]
            count = -(-(size + 2 * p - k) // s) + 1
            if (count - 1) * s >= size + p:
                count -= 1
            more = max(0, (count - 1) * s + k - size - 2 * p)
            index = torch.arange(size + more).clamp_max(size - 1)
            positions = positions.index_select(2 + axis, index)
        return source if positions.shape == source.shape else source.moved(positions)

    def _average_pool(self, node: fx.Node, given: dict) -> Moved:
        kernel, stride, padding = self._windows(node, given)
        source = self._value(node, given["input"])
        sides = (1, *source.shape[2:]) if len(source.shape) == 3 else tuple(source.shape[2:])
        divisor = given.get("divisor_override")
        self._check(
            divisor is not None or given["count_include_pad"] or not any(padding),
            node,
            "average pooling with count_include_pad=False divides windows at the border by less",
            "set count_include_pad=True, so that all windows have one divisor",
        )
        if given["ceil_mode"]:
            fits = [
                (side + 2 * p - k) % s == 0
                for side, k, s, p in zip(sides, kernel, stride, padding, strict=True)
            ]
            self._check(
                all(fits),
                node,
                "average pooling with ceil_mode divides windows that reach beyond the image by "
                "less",
                "leave ceil_mode out, or choose a kernel and stride that fit the image",
            )
        if any(padding):
            ends = [end for p in reversed(padding[4 - len(source.shape) :]) for end in (p, p)]
            source = source.moved(nn.functional.pad(source.where(), ends))
        count = kernel[0] * kernel[1]
        return self._add(
            node, ops.AveragePool, kernel=tuple(kernel), stride=tuple(stride),
            divisor=int(divisor) if divisor is not None else count,
            inputs=(self._tensor(node, source),),
        )  # fmt: skip

    def _adaptive_windows(self, node: fx.Node, given: dict) -> tuple[int, ...]:
        source = self._value(node, given["input"])
        value = node.meta["val"]
        result = value if isinstance(value, torch.Tensor) else value[0]
        sides, outputs = tuple(source.shape[2:]), tuple(result.shape[2:])
        self._check(
            all(side % output == 0 for side, output in zip(sides, outputs, strict=True)),
            node,
            f"images of {sides} do not divide into {outputs} equal windows",
            "choose an output size that divides them, such as 1",
        )
        kernel = tuple(side // output for side, output in zip(sides, outputs, strict=True))
        return (1, *kernel) if len(kernel) == 1 else kernel

    def _adaptive_average_pool(self, node: fx.Node, given: dict) -> Moved:
        kernel = self._adaptive_windows(node, given)
        return self._add(
            node, ops.AveragePool, kernel=kernel, stride=kernel, divisor=kernel[0] * kernel[1]
        )

    def _adaptive_max_pool(self, node: fx.Node, given: dict) -> tuple[Moved]:
        kernel = self._adaptive_windows(node, given)
        return (self._add(node, ops.MaxPool, kernel=kernel, stride=kernel, padding=(0, 0)),)

    def _mean(self, node: fx.Node, given: dict) -> Moved:
        source = self._value(node, given["input"])
        rank = len(source.shape)
        dimensions = {each % rank for each in given.get("dim") or ()}
        self._check(
            rank >= 3 and bool(dimensions) and min(dimensions, default=0) >= 2,
            node,
            "a mean that is not over height and width has no integer form",
            "write x.mean((2, 3)), or use AdaptiveAvgPool2d(1)",
        )
        kernel = tuple(
            side if 2 + axis in dimensions else 1 for axis, side in enumerate(source.shape[2:])
        )
        kernel = (1, *kernel) if len(kernel) == 1 else kernel
        pooled = [side if axis not in dimensions else 1 for axis, side in enumerate(source.shape)]
        shape = canonical(torch.Size(pooled))
        self._check(shape is not None, node, "a mean over more axes than two", "use two")
        suffix = "" if given["keepdim"] else "_pool"
        return self._add(
            node, ops.AveragePool, shape=shape, suffix=suffix, kernel=kernel, stride=kernel,
            divisor=kernel[0] * kernel[1],
        )  # fmt: skip

    # Movement

    def _movement(self, node: fx.Node, name: str, given: dict) -> object:
        sources = [self.values.get(each) for each in node.all_input_nodes]
        for each, source in zip(node.all_input_nodes, sources, strict=True):
            if each in self.graph.tensors:
                raise self._computed(self.graph.tensors[each], name)
            self._check(
                isinstance(source, Moved | torch.Tensor),
                node,
                f"the function {name} has no integer form here",
                OTHERWISE,
            )
        moved = [each for each in sources if isinstance(each, Moved)]
        if name == "cat" and len({each.operation for each in moved}) > 1:
            parts = [self.values[each] for each in given["tensors"]]
            self._check(
                all(isinstance(each, Moved) for each in parts),
                node,
                "a concatenation of constants and more than one tensor has no integer form",
                "pad one tensor with zeros first",
            )
            return self._concatenation(node, parts, given["dim"])
        self._check(
            len({each.operation for each in moved}) == 1,
            node,
            f"the function {name} of several tensors has no integer form",
            "write torch.cat(tensors, 1)",
        )
        if name in ("pad", "constant_pad_nd"):
            self._check(
                not given["value"],
                node,
                f"padding with {given['value']} has no integer form",
                "pad with zeros",
            )

        def positions(each: fx.Node) -> torch.Tensor:
            value = self.values[each]
            if isinstance(value, Moved):
                return value.where()
            if value.is_floating_point():
                self._check(
                    not value.any(),
                    node,
                    "constants beside activations have no integer form unless they are zeros",
                    "put constants into a bias",
                )
                return value.double()
            return value.cpu()

        args, kwargs = fx.node.map_arg((node.args, node.kwargs), positions)
        try:
            result = node.target(*args, **kwargs)
        except (RuntimeError, NotImplementedError):
            raise self._refusal(
                node, f"the function {name} has no integer form here", OTHERWISE
            ) from None
        if isinstance(result, torch.Tensor):
            return moved[0].moved(result)
        return [moved[0].moved(each) for each in result]

    def _value(self, node: fx.Node, source: fx.Node) -> Moved:
        value = self.values.get(source)
        if isinstance(value, Moved):
            return value
        if source in self.graph.tensors:
            raise self._computed(self.graph.tensors[source], _operator_name(node))
        raise self._refusal(
            node,
            f"the function {_operator_name(node)} of constants has no integer form",
            "put constants into a bias",
        )

    def _tensor(self, node: fx.Node, value: Moved) -> str:
        """Return the operation that gives a tensor as it stands, a new one where it was moved."""
        shape, source = canonical(value.shape), self.shapes[value.operation]
        self._check(
            shape is not None,
            node,
            f"a tensor of shape {tuple(value.shape)} has no integer form",
            "compute with (N, C, H, W), (N, C, L) or (N, F)",
        )
        if value.positions is None and shape == source:
            return value.operation
        size = torch.Size(source).numel()
        positions = of_one_image(value.where(), size)
        self._check(
            positions is not None,
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
        raise self._refusal(
            node,
            "its input is indexed in a way that has no integer form",
            "choose whole channels, rows or columns",
        )

    def _chosen(
        self, source: str, positions: torch.Tensor, first: tuple, last: tuple
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

    # Operations

    def _output(self, node: fx.Node) -> tuple[str, torch.Size]:
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
            return self._tensor(node, value), value.shape
        return value.operation, value.shape

    def _add(
        self, node: fx.Node, kind: type[Operation], *, name: str | None = None,
        inputs: tuple[str, ...] | None = None, shape: tuple[int, ...] | None = None,
        suffix: str = "", **fields,
    ) -> Moved:  # fmt: skip
        value = node.meta["val"]
        value = value if isinstance(value, torch.Tensor) else value[0]
        shape = shape or canonical(value.shape)
        self._check(
            shape is not None,
            node,
            f"a tensor of shape {tuple(value.shape)} has no integer form",
            "compute with (N, C, H, W), (N, C, L) or (N, F)",
        )
        if inputs is None:
            source = self._value(node, node.args[0])
            inputs = (self._tensor(node, source),)
        if name is None:
            path = self.graph.module_of(node)
            name = self._new((path or node.name).replace(".", "_") + suffix, shape)
        else:
            self.shapes[name] = shape
        self.operations.append(kind(name=name, inputs=inputs, shape=shape, **fields))
        self.nodes[name] = node
        return Moved(name, value.shape)

    def _new(self, name: str, shape: tuple[int, ...]) -> str:
        """Return a name that an artifact takes, that no operation has and no layer will have."""
        name = re.sub(r"[^A-Za-z0-9_-]", "_", name)[-LONGEST_NAME:]
        taken = self.shapes.keys() | dict(self.graph.network.named_modules()).keys()
        own = name == INPUT or name in self.shapes or not _is_leaf(self.graph.network, name)
        if own:
            count = 1
            taken |= {INPUT}
            while f"{name}_{count}" in taken:
                count += 1
            name = f"{name}_{count}"
        self.shapes[name] = shape
        return name


def _is_leaf(network: nn.Module, name: str) -> bool:
    """Whether a module of a name is none that an operation is called after."""
    try:
        module = network.get_submodule(name)
    except AttributeError:
        return True
    return not isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear)


def pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    """Sides of a window, which PyTorch takes as one number where they are equal."""
    return (value, value) if isinstance(value, int) else tuple(value) * (2 // len(value))


def _sides(value: int | list[int], count: int) -> list[int]:
    if isinstance(value, int):
        return [value] * count
    return list(value) * (count if len(value) == 1 and count > 1 else 1)


def _operator_name(node: fx.Node) -> str:
    target = node.target
    if isinstance(target, torch._ops.OpOverload):
        return target._schema.name.partition("::")[2]
    return getattr(target, "__name__", str(target))


def _remedy(name: str) -> str:
    return REMEDIES.get(name.removesuffix("_backward"), OTHERWISE)


def _bound(node: fx.Node) -> dict[str, object]:
    """Every argument of an operator by its name in the operator's schema; ``self`` is ``input``."""
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


def _apply(target: Callable, args: tuple, kwargs: dict, x: torch.Tensor) -> torch.Tensor:
    """Call an operator on a tensor, with what else it takes."""
    return target(x, *args, **kwargs)
