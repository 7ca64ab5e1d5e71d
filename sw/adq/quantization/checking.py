"""Holds what was read of a network against the network itself, before anything is trained."""

from collections.abc import Mapping

import torch
from torch.utils import _pytree as pytree

from adq.quantization.quantized_network import QuantizedNetwork, real_numbers
from adq.quantization.reading.network import Read
from adq.quantization.reading.tracing import PrepareError, evaluating, first_line

TOLERANCE = 1e-4
"""Largest difference that counts as float32's noise, as a share of the largest value."""


def check_steps(model: QuantizedNetwork, read: Read, last: Mapping[str, str]) -> None:
    """Compare every step in real numbers with the same tensor of the network's graph.

    ``last`` names the operation whose tensor a step gives. Ranges see the images on the way.

    Raises
    ------
    PrepareError
        They part; the message names the first step where they do.

    """
    graph = read.graph
    with evaluating(model), model.in_real_numbers():
        expected = graph.run(graph.probe)
        for step, value in model.run(graph.probe):
            node = read.nodes.get(last[step.name])
            if node is None:
                continue
            own = expected[node]
            own = own[0] if isinstance(own, tuple | list) else own
            if not isinstance(own, torch.Tensor):
                raise AssertionError(f"{node.name} gives no tensor")
            found = real_numbers(value)
            where = step.name if step.name in model.layers else graph.where(node)
            if not own.isfinite().all():
                raise PrepareError(
                    f"{where}: it gives values that are no finite numbers: check the weights and "
                    "the running statistics of the network"
                )
            _check_same(
                own.reshape(found.shape),
                found,
                f"{where}: what was read of the network computes something else here than the "
                "network",
                "write this part with modules of torch.nn",
            )


def check_example(model: QuantizedNetwork, example: torch.Tensor) -> None:
    """Compare outputs in real numbers with those of the network's own ``forward``.

    Raises
    ------
    PrepareError
        They part, or have another shape.

    """
    with evaluating(model):
        for images in (example, torch.cat([example, example.flip(0) / 2])):
            try:
                expected, structure = pytree.tree_flatten(model.network(images.clone()))
            except Exception as error:
                raise PrepareError(
                    f"the network does not run on {len(images)} images ({first_line(error)}): "
                    "write it for any number of images, with x.flatten(1) or x.size(0)"
                ) from None
            with model.in_real_numbers():
                found = pytree.tree_leaves(model(images))
            if structure != model.outputs.structure:
                raise PrepareError(
                    f"the network returns something else for {len(images)} images than for "
                    "others: return the same tensors always"
                )
            for one, other in zip(expected, found, strict=True):
                if one.shape != other.shape:
                    raise PrepareError(
                        f"the network gives {tuple(one.shape)} for {len(images)} images where "
                        f"(N, ...) would be {tuple(other.shape)}: leave the first dimension alone, "
                        "as torch.flatten(x, 1) does and x.squeeze() does not"
                    )
                _check_same(
                    one,
                    other,
                    f"forward gives something else for these {len(images)} images than what was "
                    "read of it",
                    "let it compute from the images and its parameters alone, not from their "
                    "number, from chance or from what was computed before",
                )


def _check_same(expected: torch.Tensor, found: torch.Tensor, problem: str, remedy: str) -> None:
    # Weights that are no numbers any more say nothing about what was read.
    numbers = expected.isfinite()
    same_numbers = torch.equal(numbers, found.isfinite())
    if same_numbers and not numbers.any():
        return
    scale = expected[numbers].abs().amax().item()
    difference = (expected - found)[numbers].abs().amax().item()
    if not (same_numbers and difference <= TOLERANCE * max(scale, 1e-6)):
        raise PrepareError(
            f"{problem} (values up to {scale:.3g} differ by {difference:.3g}): {remedy}"
        )
