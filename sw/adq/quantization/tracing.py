"""From a PyTorch module to the operations that it computes.

``torch.fx`` follows the module's own ``forward``, so that any network of convolutions, linear
layers, batch norm, ReLU, pooling and additions can be read, written as modules or as functions.
"""

import operator
from collections.abc import Callable

import torch
from torch import fx, nn
from torch.nn import functional

from adq.quantization.operations import (
    Add,
    AveragePool,
    Dropout,
    Flatten,
    Input,
    Layer,
    MaxPool,
    Norm,
    Operation,
    Relu,
)


class PrepareError(ValueError):
    """A network that cannot be quantized; the message names the module and what to do."""


def trace(network: nn.Module, example: torch.Tensor) -> list[Operation]:
    """List the operations of a network in order; the last gives what it returns.

    ``example`` is a batch (N, C, H, W) of inputs; shapes follow from it. The network is left as
    it was.

    Raises
    ------
    PrepareError
        The network cannot be traced or run, or holds something that has no integer form.

    """
    try:
        graph = fx.Tracer().trace(network)
    except Exception as error:
        raise PrepareError(
            f"{type(network).__name__} cannot be traced ({_first_line(error)}): its forward must "
            "take one tensor and must not decide by what tensors hold"
        ) from None
    module = fx.GraphModule(network, graph)
    module.graph.eliminate_dead_code()
    shapes = _shapes(module, example)
    return _Reader(network, shapes).read(module.graph)


def _shapes(module: fx.GraphModule, example: torch.Tensor) -> dict[fx.Node, torch.Size]:
    """Shape of every node whose value is a tensor, in evaluation."""
    shapes: dict[fx.Node, torch.Size] = {}

    class Recorder(fx.Interpreter):
        def run_node(self, node: fx.Node) -> object:
            value = super().run_node(node)
            if isinstance(value, torch.Tensor):
                shapes[node] = value.shape
            return value

    modes = {each: each.training for each in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            Recorder(module).run(example)
    except Exception as error:
        raise PrepareError(
            f"the network does not run on an example of shape {tuple(example.shape)} "
            f"({_first_line(error)}): pass images (N, C, H, W) as it takes them, on its device"
        ) from None
    finally:
        for each, training in modes.items():
            each.training = training
    return shapes


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    """Sides of a window, which PyTorch takes as one number where they are equal."""
    return (value, value) if isinstance(value, int) else tuple(value) * (2 // len(value))


class _Reader:
    """Turns the nodes of a graph into operations, one after the other."""

    def __init__(self, network: nn.Module, shapes: dict[fx.Node, torch.Size]):
        self.modules = dict(network.named_modules(remove_duplicate=False))
        self.shapes = shapes
        self.operations: list[Operation] = []
        self.names: dict[fx.Node, str] = {}
        """The operation whose tensor each node's value is."""
        self.called: set[nn.Module] = set()

    def read(self, graph: fx.Graph) -> list[Operation]:
        for node in graph.nodes:
            if node.op == "output":
                self._read_output(node)
            elif node in self.shapes:
                self._read_tensor(node)
        return self.operations

    def _read_output(self, node: fx.Node) -> None:
        result = node.args[0]
        if not isinstance(result, fx.Node) or self.names.get(result) is None:
            raise PrepareError("the network must return one tensor, its logits")
        last = self.operations[-1].name
        if self.names[result] != last:
            raise PrepareError(
                f"{last} does not lead to the network's output: remove it from forward"
            )

    def _read_tensor(self, node: fx.Node) -> None:
        match node.op:
            case "placeholder":
                if self.operations:
                    raise PrepareError(f"{node.name}: forward must take one tensor, the images")
                self._add(node, Input)
            case "get_attr":
                raise PrepareError(
                    f"{node.target}: a tensor of the network's own has no integer form outside "
                    "convolutions, linear layers and batch norm: remove it from forward"
                )
            case "call_module":
                self._read_module(node, self.modules[node.target])
            case _:
                self._read_function(node)

    def _read_module(self, node: fx.Node, module: nn.Module) -> None:
        name = node.target
        match module:
            case nn.Conv2d() | nn.Linear():
                self._check_layer(name, module)
                self._add(node, Layer, name=name, module=module)
            case nn.BatchNorm1d() | nn.BatchNorm2d():
                self._check_once(name, module)
                _check(
                    module.track_running_stats,
                    name,
                    "batch norm without running statistics changes with every batch",
                    "set track_running_stats=True",
                )
                self._add(node, Norm, name=name, module=module)
            case nn.ReLU():
                self._add(node, Relu)
            case nn.MaxPool2d():
                self._add_max_pool(
                    node, module.kernel_size, module.stride, module.padding,
                    module.dilation, module.ceil_mode,
                )  # fmt: skip
            case nn.AvgPool2d():
                self._add_average_pool(
                    node, module.kernel_size, module.stride, module.padding,
                    module.ceil_mode, module.divisor_override,
                )  # fmt: skip
            case nn.AdaptiveAvgPool2d():
                self._add_adaptive_pool(node)
            case nn.Flatten():
                self._add_shaping(node)
            case nn.Dropout() | nn.Dropout2d():
                self._add(node, Dropout, module=module)
            case nn.Identity():
                self._pass(node)
            case _:
                raise PrepareError(
                    f"{name}: {type(module).__name__} has no integer form: build the network of "
                    "Conv2d, Linear, BatchNorm, ReLU, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, "
                    "Flatten, Dropout and additions"
                )

    def _read_function(self, node: fx.Node) -> None:
        reads = {
            **dict.fromkeys(
                (functional.relu, torch.relu, torch.relu_, "relu", "relu_"), self._relu
            ),
            **dict.fromkeys(
                (operator.add, operator.iadd, torch.add, "add", "add_"), self._add_addition
            ),
            **dict.fromkeys(
                (torch.flatten, torch.squeeze, torch.reshape, operator.getitem,
                 "flatten", "squeeze", "reshape", "view", "contiguous"),
                self._add_shaping,
            ),
            **dict.fromkeys((torch.mean, "mean"), self._add_mean),
            functional.max_pool2d: self._max_pool,
            torch.max_pool2d: self._max_pool,
            functional.avg_pool2d: self._average_pool,
            functional.adaptive_avg_pool2d: self._add_adaptive_pool,
        }  # fmt: skip
        read: Callable[[fx.Node], None] | None = reads.get(node.target)
        if read is None:
            function = getattr(node.target, "__name__", str(node.target))
            remedy = {
                "dropout": "use the module nn.Dropout",
                "batch_norm": "use the module nn.BatchNorm2d",
                "conv2d": "use the module nn.Conv2d",
                "linear": "use the module nn.Linear",
                "log_softmax": "return the logits, and train with cross_entropy",
                "softmax": "return the logits, and train with cross_entropy",
            }.get(function, "write it with convolutions, ReLU, pooling and additions")
            raise PrepareError(
                f"{node.name}: the function {function} has no integer form: {remedy}"
            )
        read(node)

    def _relu(self, node: fx.Node) -> None:
        self._add(node, Relu)

    def _add_addition(self, node: fx.Node) -> None:
        shapes = [
            self.shapes.get(each) if isinstance(each, fx.Node) else None for each in node.args[:2]
        ]
        _check(
            len(shapes) == 2 and all(shape == self.shapes[node] for shape in shapes)
            and node.kwargs.get("alpha", 1) == 1,
            node.name,
            "an addition that is not of two tensors of one shape has no integer form",
            "add the outputs of two layers",
        )  # fmt: skip
        self._add(node, Add)

    def _max_pool(self, node: fx.Node) -> None:
        given = _arguments(node, "kernel_size stride padding dilation ceil_mode")
        kernel = given["kernel_size"]
        self._add_max_pool(
            node, kernel, given.get("stride") or kernel, given.get("padding", 0),
            given.get("dilation", 1), given.get("ceil_mode", False),
        )  # fmt: skip

    def _average_pool(self, node: fx.Node) -> None:
        given = _arguments(node, "kernel_size stride padding ceil_mode")
        kernel = given["kernel_size"]
        self._add_average_pool(
            node, kernel, given.get("stride") or kernel, given.get("padding", 0),
            given.get("ceil_mode", False), given.get("divisor_override"),
        )  # fmt: skip

    def _add_max_pool(self, node: fx.Node, kernel, stride, padding, dilation, ceil) -> None:
        _check(
            pair(dilation) == (1, 1) and not ceil,
            str(node.target) if node.op == "call_module" else node.name,
            "maximum pooling with dilation or ceil_mode has no integer form",
            "leave them out",
        )
        self._add(node, MaxPool, kernel=pair(kernel), stride=pair(stride), padding=pair(padding))

    def _add_average_pool(self, node: fx.Node, kernel, stride, padding, ceil, divisor) -> None:
        _check(
            pair(padding) == (0, 0) and not ceil and divisor is None,
            str(node.target) if node.op == "call_module" else node.name,
            "average pooling with padding, ceil_mode or a divisor has no integer form",
            "leave them out",
        )
        self._add(node, AveragePool, kernel=pair(kernel), stride=pair(stride))

    def _add_adaptive_pool(self, node: fx.Node) -> None:
        sides = self._input_shape(node)[2:]
        outputs = self.shapes[node][2:]
        _check(
            all(side % output == 0 for side, output in zip(sides, outputs, strict=True)),
            str(node.target) if node.op == "call_module" else node.name,
            f"images of {tuple(sides)} do not divide into {tuple(outputs)} equal windows",
            "choose an output size that divides them, such as 1",
        )
        kernel = tuple(side // output for side, output in zip(sides, outputs, strict=True))
        self._add(node, AveragePool, kernel=kernel, stride=kernel)

    def _add_mean(self, node: fx.Node) -> None:
        shape = self._input_shape(node)
        dimensions = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
        _check(
            len(shape) == 4
            and isinstance(dimensions, tuple | list)
            and {each % 4 for each in dimensions} == {2, 3},
            node.name,
            "a mean that is not over height and width has no integer form",
            "write x.mean((2, 3)), or use AdaptiveAvgPool2d(1)",
        )
        name = node.name
        kernel = tuple(shape[2:])
        if len(self.shapes[node]) == 4:
            self._add(node, AveragePool, kernel=kernel, stride=kernel)
            return
        pool = AveragePool(
            name=f"{name}_pool",
            inputs=self._inputs(node),
            shape=(shape[1], 1, 1),
            kernel=kernel,
            stride=kernel,
        )
        flat = Flatten(name=name, inputs=(pool.name,), shape=(shape[1],))
        self.operations += [pool, flat]
        self.names[node] = name

    def _add_shaping(self, node: fx.Node) -> None:
        before, after = self._input_shape(node), self.shapes[node]
        if before == after:
            self._pass(node)
            return
        flat = len(after) == 2 and after[0] == before[0] and after.numel() == before.numel()
        _check(
            flat,
            node.name,
            f"a change of shape from {tuple(before)} to {tuple(after)} has no integer form",
            "flatten images whole, with torch.flatten(x, 1) or nn.Flatten()",
        )
        self._add(node, Flatten)

    def _pass(self, node: fx.Node) -> None:
        """Give a node that changes nothing the tensor of its input."""
        (self.names[node],) = self._inputs(node)

    def _add(self, node: fx.Node, kind: type[Operation], name: str = "", **fields) -> None:
        name = name or node.name
        shape = tuple(self.shapes[node][1:])
        inputs = () if kind is Input else self._inputs(node)
        self.operations.append(kind(name=name, inputs=inputs, shape=shape, **fields))
        self.names[node] = name

    def _inputs(self, node: fx.Node) -> tuple[str, ...]:
        return tuple(self.names[each] for each in node.all_input_nodes if each in self.names) * (
            2 if len(node.args) == 2 and node.args[0] is node.args[1] else 1
        )

    def _input_shape(self, node: fx.Node) -> torch.Size:
        return self.shapes[node.args[0] if node.args else node.all_input_nodes[0]]

    def _check_once(self, name: str, module: nn.Module) -> None:
        _check(
            module not in self.called,
            name,
            "the module is called more than once",
            "give each call a module of its own: their densities and ranges differ",
        )
        self.called.add(module)

    def _check_layer(self, name: str, module: nn.Conv2d | nn.Linear) -> None:
        self._check_once(name, module)
        if isinstance(module, nn.Linear):
            return
        _check(
            not isinstance(module.padding, str) and module.padding_mode == "zeros",
            name,
            f"padding {module.padding!r} with {module.padding_mode} has no integer form",
            "give the padding in pixels, filled with zeros",
        )
        _check(
            pair(module.dilation) == (1, 1),
            name,
            f"a dilation of {module.dilation} has no integer form",
            "use a dilation of 1",
        )


def _arguments(node: fx.Node, names: str) -> dict[str, object]:
    """Arguments of a function after the tensor, by name."""
    return {**dict(zip(names.split(), node.args[1:], strict=False)), **node.kwargs}


def _check(condition: bool, name: str, problem: str, remedy: str) -> None:
    if not condition:
        raise PrepareError(f"{name}: {problem}: {remedy}")
