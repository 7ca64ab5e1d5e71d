"""From a PyTorch module to a graph without side effects.

``torch.export`` runs the module's own ``forward`` in evaluation and writes down the operators that
ran. Functionalization turns in-place operations, and what they do to other names of the same
memory, into plain data flow, and every argument stands in its operator's own order: however a
network is written, it arrives here in one form.
"""

import contextlib
import itertools
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import fx, nn
from torch.fx.node import Argument
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize, prune
from torch.utils import _pytree as pytree

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d)


class PrepareError(ValueError):
    """A network that cannot be quantized; the message names the module and what to do."""


@torch.library.custom_op("adq::dropout", mutates_args=())
def marked_dropout(x: torch.Tensor, name: str) -> torch.Tensor:
    """Stand for a dropout module in the graph, which is nothing in evaluation."""
    return x.clone()


@marked_dropout.register_fake
def _(x: torch.Tensor, name: str) -> torch.Tensor:
    return torch.empty_like(x)


@dataclass(frozen=True)
class Graph:
    """Graph of a network's operators, on its own parameters and buffers."""

    network: nn.Module
    graph: fx.Graph
    tensors: dict[fx.Node, str]
    """Parameters and buffers that nodes stand for, by their names in the network."""
    constants: dict[fx.Node, torch.Tensor]
    """Tensors that ``forward`` made itself."""
    images: fx.Node
    outputs: tuple[fx.Node, ...]
    structure: pytree.TreeSpec
    """How ``forward`` returns its outputs: one tensor, a tuple, a dictionary."""
    probe: torch.Tensor
    """The images for which the graph was made: other values than the example's, and another N."""

    def where(self, node: fx.Node) -> str:
        """Name a node as a user knows it: its module of ``torch.nn``, else its operator."""
        path = self.module_of(node)
        return node.name if path is None else path

    def module_of(self, node: fx.Node) -> str | None:
        """Return the path of the module of ``torch.nn`` that ran a node, if one did."""
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        if not stack:
            return None
        path = str(stack[-1][0])
        try:
            module = self.network.get_submodule(path)
        except AttributeError:
            return None
        return path if path and type(module).__module__.startswith("torch.nn") else None

    @torch.no_grad()
    def run(self, images: torch.Tensor) -> dict[fx.Node, object]:
        """Compute every node for a batch of as many images as ``probe`` has."""
        values: dict[fx.Node, object] = {}
        state = dict(itertools.chain(self.network.named_parameters(), self.network.named_buffers()))
        for node in self.graph.nodes:
            if node.op == "placeholder":
                if node is self.images:
                    values[node] = images
                elif node in self.constants:
                    values[node] = self.constants[node]
                else:
                    values[node] = state[self.tensors[node]]
            elif node.op == "call_function":
                values[node] = computed(node, values.__getitem__)
        return values


def computed(node: fx.Node, value: Callable[[fx.Node], object]) -> object:
    """Run a node's operator on the values of the nodes that it reads."""
    arguments = cast("Callable[[fx.Node], Argument]", value)
    args, kwargs = fx.node.map_arg((node.args, node.kwargs), arguments)
    return operator_of(node)(*args, **kwargs)


def operator_of(node: fx.Node) -> Callable[..., object]:
    """Return what a node calls, which is no name in the graph of a function."""
    if not callable(node.target):
        raise AssertionError(f"{node.name} calls {node.target}")
    return node.target


def trace(network: nn.Module, example: torch.Tensor) -> Graph:
    """Run a network's ``forward`` once in evaluation; the network is left as it was.

    Raises
    ------
    PrepareError
        The network does not run or cannot be followed, or something outside ``forward`` changes
        what its modules compute.

    """
    _check_outside_forward(network)
    probe = _other_images(example)
    with evaluating(network):
        try:
            network(example.clone())
        except Exception as error:
            raise PrepareError(
                f"the network does not run on an example of shape {tuple(example.shape)} "
                f"({first_line(error)}): pass images (N, C, H, W) as it takes them, on its device"
            ) from None
        try:
            with _quiet(), _marked_dropouts(network) as dropouts:
                program = torch.export.export(network, (probe,), strict=False)
                _check_functional_dropout(program.graph)
                program = program.run_decompositions({})
        except PrepareError:
            raise
        except Exception as error:
            raise PrepareError(
                f"{type(network).__name__} cannot be traced ({first_line(error)}): its forward "
                "must take one tensor, of any number of images, and must not decide by what "
                "tensors hold"
            ) from None
    return _graph(network, program, probe, dropouts)


@contextlib.contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation, without gradients, and its modules back into their modes."""
    modes = {each: each.training for each in network.modules()}
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for each, training in modes.items():
            each.training = training


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch.export's own reports to itself: what fails is said in one error."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _other_images(example: torch.Tensor) -> torch.Tensor:
    """Return images of other values, and of another number, than an example's."""
    count = 3 if len(example) == 2 else 2
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(count, *example.shape[1:], generator=generator).to(example)
    spread = example.float().std(correction=0)
    return noise * spread + example.float().mean() if 0 < spread < torch.inf else noise


def _graph(
    network: nn.Module,
    program: torch.export.ExportedProgram,
    probe: torch.Tensor,
    dropouts: list[str],
) -> Graph:
    signature = program.graph_signature
    for name in signature.buffers_to_mutate.values():
        raise PrepareError(f"{name}: forward changes this buffer in evaluation: leave it as it is")
    if signature.user_inputs_to_mutate:
        raise PrepareError(
            "the network changes its images in place: write the operation on them without a "
            "trailing underscore or inplace=True"
        )
    names = signature.inputs_to_parameters | signature.inputs_to_buffers
    lifted = signature.inputs_to_lifted_tensor_constants
    nodes = {node.name: node for node in program.graph.nodes}
    (images,) = (nodes[name] for name in signature.user_inputs)
    _check_dropouts(program.graph, dropouts)
    outputs = signature.user_outputs
    if not outputs or not all(isinstance(each, str) and each in nodes for each in outputs):
        raise PrepareError("the network must return tensors: remove everything else it returns")
    return Graph(
        network=network,
        graph=program.graph,
        tensors={nodes[name]: target for name, target in names.items()},
        constants={nodes[name]: program.constants[target] for name, target in lifted.items()},
        images=images,
        outputs=tuple(nodes[name] for name in outputs),
        structure=program.call_spec.out_spec,
        probe=probe,
    )


@contextlib.contextmanager
def _marked_dropouts(network: nn.Module) -> Iterator[list[str]]:
    """Let dropout modules, which leave no trace in evaluation, mark their place in the graph.

    Yields the names of those that run.
    """
    ran: list[str] = []
    marked = [(name, each) for name, each in network.named_modules() if isinstance(each, DROPOUTS)]

    def marking(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
        def forward(x: torch.Tensor) -> torch.Tensor:
            ran.append(name)
            marked: torch.Tensor = marked_dropout(x, name)
            return marked

        return forward

    for name, module in marked:
        module.__dict__["forward"] = marking(name)
    try:
        yield ran
    finally:
        for _, module in marked:
            del module.__dict__["forward"]


def _check_dropouts(graph: fx.Graph, ran: list[str]) -> None:
    found = [node.args[1] for node in graph.nodes if node.target is torch.ops.adq.dropout.default]
    for name in ran:
        if name not in found:
            raise PrepareError(
                f"{name}: what this dropout returns is not used, though it changes its input in "
                "training: write x = dropout(x)"
            )


def _check_functional_dropout(graph: fx.Graph) -> None:
    for node in graph.nodes:
        if (
            node.op == "call_function"
            and "dropout" in node.name
            and node.target is not (torch.ops.adq.dropout.default)
        ):
            raise PrepareError(
                f"{node.name}: the function {node.target.__name__.split('.')[0].rstrip('_')} has "
                "no integer form: use the module nn.Dropout"
            )


def _check_outside_forward(network: nn.Module) -> None:
    """Refuse what changes a module's work without standing in any ``forward``."""
    for name, module in network.named_modules():
        where = name or type(network).__name__
        if any(is_lazy(each) for each in itertools.chain(module.parameters(), module.buffers())):
            raise PrepareError(
                f"{where}: it has no parameters yet: run the network on an example first"
            )
        if parametrize.is_parametrized(module):
            attribute = next(iter(module.parametrizations))
            raise PrepareError(
                f"{where}: its {attribute} is computed by a parametrization, which quantized "
                f'training would not run: torch.nn.utils.parametrize.remove_parametrizations(m, "'
                f'{attribute}") first'
            )
        hooks = itertools.chain(
            module._forward_pre_hooks.values(),
            module._forward_hooks.values(),
            module._backward_hooks.values(),
            module._backward_pre_hooks.values(),
        )
        for hook in hooks:
            _refuse_hook(where, hook)
    owners: dict[int, str] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        path = name.rpartition(".")[0]
        first = owners.setdefault(id(parameter), name)
        # One module under two names is caught where it is called twice.
        if first != name and network.get_submodule(path) is not network.get_submodule(
            first.rpartition(".")[0]
        ):
            raise PrepareError(
                f"{name}: it is the same parameter as {first}, and each layer has a precision and "
                "channels of its own: give each layer weights of its own"
            )


def _refuse_hook(where: str, hook: object) -> None:
    kind, call = type(hook).__name__, None
    if isinstance(hook, prune.BasePruningMethod):
        kind, call = "torch.nn.utils.prune", f'prune.remove(m, "{hook._tensor_name}")'
    elif kind in ("WeightNorm", "SpectralNorm"):
        function = {"WeightNorm": "weight_norm", "SpectralNorm": "spectral_norm"}[kind]
        call = f'remove_{function}(m, "{getattr(hook, "name", "weight")}")'
    if call is not None:
        raise PrepareError(
            f"{where}: its weights are computed by {kind} in a hook, which quantized training "
            f"would not run: torch.nn.utils.{call} first"
        )
    raise PrepareError(
        f"{where}: a hook is registered on it, which quantized training would not run: remove it, "
        "or write what it does in forward"
    )


def first_line(error: Exception) -> str:
    """Say an error of somebody else's in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
