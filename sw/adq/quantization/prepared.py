"""``adq.prepare``: anyone's network, ready to be quantized and pruned while it trains."""

import re
import warnings

import torch
from torch import nn

from adq.golden.network import NetworkError
from adq.quantization.assembly import assemble
from adq.quantization.checking import check_example, check_steps
from adq.quantization.integers import ExportError, VanishedRangeWarning, integer_network
from adq.quantization.prepared_network import Prepared, check_bits, check_integers
from adq.quantization.quantized_network import Outputs, QuantizedNetwork
from adq.quantization.reading.network import Read
from adq.quantization.reading.tensors import INPUT, LONGEST_NAME
from adq.quantization.reading.tracing import PrepareError, trace
from adq.quantization.steps.step import Step
from adq.training.config import QuantizationConfig

__all__ = ["Prepared", "prepare"]


def prepare(
    network: nn.Module,
    example: torch.Tensor,
    *,
    config: QuantizationConfig | None = None,
    bits: int = 16,
    levels: int | None = None,
) -> Prepared:
    """Quantize a network's activations and weights, in training as in evaluation.

    The network's own modules stay what they are, and its parameters are what ``Prepared.model``
    trains. Its ``forward`` is read once, here, in evaluation. What was read then runs beside it in
    real numbers, on the example and on other images, and must compute the same; and its integers
    are built once, so that whatever an artifact cannot hold is known before training.

    Parameters
    ----------
    network
        Any module of convolutions, linear layers, batch norm, activation functions, pooling,
        additions, products, concatenation, indexing and dropout, as modules or functions.
    example
        A batch of images (N, C, H, W), or of (N, C, L) or (N, F), as the network takes them.
    config
        How ranges are found.
    bits
        Precision of every layer at the start, 2 to 16.
    levels
        Largest level of the images, 1 to 65535, if the network is to read levels: images are
        then level / ``levels``, from 0 to 1, and the network's input has these levels as unsigned
        integers of as many bits as the largest needs. Without it, the input is signed and has the
        precision of the first layer.

    Raises
    ------
    PrepareError
        The network holds something that has no integer form; the message names it.

    """
    check_integers({"bits": bits})
    check_bits({"bits": bits})
    _check_network(network, example)
    if levels is not None:
        _check_levels(levels, example)
    config = config or QuantizationConfig()
    graph = trace(network, example)
    read = Read(graph)
    assembled = assemble(read.operations, [name for name, _ in read.outputs], bits=bits)
    _check_step_names(assembled.steps)
    outputs = Outputs(
        steps=assembled.outputs,
        shapes=tuple(tuple(shape[1:]) for _, shape in read.outputs),
        structure=graph.structure,
    )
    learned = config.activation_range == "learned"
    model = QuantizedNetwork(
        network,
        assembled.steps,
        outputs,
        learned=learned,
        range_batches=config.range_batches,
        levels=levels,
    )
    prepared = Prepared(model, example)
    check_steps(model, read, assembled.last)
    check_example(model, example)
    _check_limits(prepared)
    for quantizer in model.activation_quantizers.values():
        quantizer.forget()
    return prepared


def _check_network(network: nn.Module, example: torch.Tensor) -> None:
    if not isinstance(network, nn.Module):
        raise PrepareError(
            f"the network is a {type(network).__name__}: it must be a torch.nn.Module"
        )
    if isinstance(network, QuantizedNetwork):
        raise PrepareError("the network is prepared already: prepare the network that it was")
    if not isinstance(example, torch.Tensor) or example.dim() < 2 or not example.numel():
        raise PrepareError(
            "the example must be a batch of images, a tensor (N, C, H, W) as the network takes it"
        )
    if not example.is_floating_point() or not example.isfinite().all():
        raise PrepareError(
            f"the example is {example.dtype}, or holds values that are no finite numbers: pass "
            "images as finite numbers in float32"
        )
    if not any(True for _ in network.parameters()):
        raise PrepareError("the network has no parameters: there is nothing to train")
    for name, parameter in network.named_parameters():
        if parameter.dtype != torch.float32:
            raise PrepareError(
                f"{name} is {parameter.dtype}: quantizers compute in float32, so call .float() on "
                "the network first, and use autocast for faster types"
            )


def _check_levels(levels: int, example: torch.Tensor) -> None:
    check_integers({"levels": levels})
    if not 1 <= levels < 2**16:
        raise PrepareError(f"levels: a largest level of {levels}: it must be 1 to {2**16 - 1}")
    least, most = example.min().item(), example.max().item()
    if least < 0 or most > 1:
        raise PrepareError(
            f"the example spans {least:.3g} to {most:.3g}: images of levels are level / {levels}, "
            "from 0 to 1"
        )


NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def _check_step_names(steps: list[Step]) -> None:
    for step in steps[1:]:
        problem = None
        if step.name == INPUT:
            problem = "this name is that of the images"
        elif len(step.name) > LONGEST_NAME:
            problem = f"this name has {len(step.name)} characters, at most {LONGEST_NAME} fit"
        elif not NAME.fullmatch(step.name):
            problem = "names in an artifact have letters, digits, '_', '.' and '-' alone"
        if problem is not None:
            raise PrepareError(f"{step.name!r}: {problem}: rename the module")


def _check_limits(prepared: Prepared) -> None:
    """Build the integers of the untrained network, with the ranges that have been seen.

    Raises
    ------
    PrepareError
        An artifact cannot hold the network.

    """
    try:
        with warnings.catch_warnings():
            # Deep layers of an untrained network may give next to nothing; training changes that.
            warnings.simplefilter("ignore", VanishedRangeWarning)
            integer_network(prepared, name="network")
    except (ExportError, NetworkError) as error:
        raise PrepareError(f"an artifact cannot hold the network: {error}") from None
