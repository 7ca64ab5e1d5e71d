"""Activation density, counted exactly.

The paper's AD of a layer is the share of non-zero activations at its ReLU's output, over all
images of an epoch. It is counted before the next layer's quantizer: what that quantizer rounds to
zero still counts as active. Counted behind it, a low precision would itself lower the density
that is to choose the precision, and a layer's density would depend on the layer after it.
"""

from collections.abc import Mapping
from types import TracebackType

import torch
from torch import nn


class DensityMeter:
    """Counts non-zero outputs of ReLUs while the model trains; a context manager.

    The counters are integers and stay on the outputs' device: counting a batch waits for nothing,
    and an epoch's densities are sums over all of its elements rather than averages of batches.

    Parameters
    ----------
    relus
        Modules to watch, by the name of the layer that they belong to (``adq.layers.relus``).

    """

    def __init__(self, relus: Mapping[str, nn.Module]):
        self._nonzero: dict[str, torch.Tensor] = {}
        self._elements = dict.fromkeys(relus, 0)
        self._hooks = [
            module.register_forward_hook(self._hook(name)) for name, module in relus.items()
        ]

    def __enter__(self) -> "DensityMeter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for hook in self._hooks:
            hook.remove()

    def take(self) -> dict[str, float]:
        """Return the density of every layer since the last call, and start counting anew."""
        if not self._nonzero:
            return {}
        counts = torch.stack([self._nonzero[name] for name in self._elements]).tolist()
        densities = {
            name: count / elements
            for (name, elements), count in zip(self._elements.items(), counts, strict=True)
        }
        self._nonzero.clear()
        self._elements = dict.fromkeys(self._elements, 0)
        return densities

    def _hook(self, name: str):
        def count(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
            if module.training:
                nonzero = torch.count_nonzero(output.detach())
                self._nonzero[name] = self._nonzero.get(name, 0) + nonzero
                self._elements[name] += output.numel()

        return count
