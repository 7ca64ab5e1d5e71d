"""The paper's algorithm: activation density lowers precisions, and prunes, in training.

Train every layer at 16 bits and watch AD_l, the activation density of layer l, each epoch. When
it has saturated for all layers, set

    k_l <- max(2, round(k_l * AD_l))    bits of the weights and the input of layer l
    C_l <- round(C_l * AD_l)            output channels of layer l, where channels are pruned

and train on with these; this is one iteration. Repeat until AD no longer calls for less. The
first and the last layer keep their 16 bits, a skip connection has the precision of the layer that
it joins, layers that share channels take one decision by their common density, and there is no
re-training: the network of the last iteration is the result.

Source: Vasquez et al., "Activation Density based Mixed-Precision Quantization for Energy
Efficient Neural Networks", DATE 2021. It does not say when a density counts as saturated; here it
has, once it varied by no more than ``tolerance`` over the last ``window`` epochs of the iteration.
"""

import enum
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from adq.training.config import ControllerConfig

if TYPE_CHECKING:
    import torch

    from adq.quantization.prepared import Prepared


class Decision(enum.Enum):
    """What the controller concludes from an epoch."""

    CONTINUE = "continue"
    """Train on: not every density has saturated, or this iteration is the last anyway."""
    LOWER = "lower"
    """An iteration has ended: bits, or channels, have changed."""
    CONVERGED = "converged"
    """Densities have saturated and call for no less: the present iteration is the last."""


def scaled(value: int, density: float, minimum: int) -> int:
    """Bits or channels that a saturated density calls for: max(minimum, round(value * density)).

    A value below the minimum stays.
    """
    return min(value, max(minimum, math.floor(value * density + 0.5)))


class Controller:
    """Watches densities, and decides precision and channels of every layer.

    Attributes
    ----------
    iteration
        Present iteration, from 1.
    converged
        Whether densities have called for no less.

    Parameters
    ----------
    prepared
        The network, at the precisions of the first iteration.
    config
        When a density has saturated, and the limits.

    """

    def __init__(self, prepared: "Prepared", config: ControllerConfig | None = None):
        self.prepared = prepared
        self.config = config or ControllerConfig()
        self.iteration = 1
        self.converged = False
        self._window: list[dict[str, float]] = []

    def step(
        self,
        densities: Mapping[str, float] | None = None,
        *,
        remaining_epochs: int | None = None,
        optimizer: "torch.optim.Optimizer | None" = None,
    ) -> Decision:
        """Conclude from an epoch, and change the network if an iteration has ended.

        Parameters
        ----------
        densities
            Of the epoch; by default what the network has counted since the last step.
        remaining_epochs
            Epochs that are left: with fewer than ``settling_epochs`` nothing changes any more.
        optimizer
            Whose state follows the channels; without it, make a new one when channels leave.

        """
        if densities is None:
            densities = self.prepared.densities()
        self._window = [*self._window, dict(densities)][-self.config.window :]
        last = (
            self.converged
            or self.iteration == self.config.max_iterations
            or (remaining_epochs is not None and remaining_epochs < self.config.settling_epochs)
        )
        if last or not self._saturated():
            return Decision.CONTINUE
        bits, channels = self._bits(densities), self._channels(densities)
        if bits == self.prepared.bits and not channels:
            self.converged = True
            return Decision.CONVERGED
        self.prepared.prune(channels, optimizer)
        self.prepared.set_bits(bits)
        self.iteration += 1
        self._window = []
        return Decision.LOWER

    def state_dict(self) -> dict[str, Any]:
        """Return what decides the future besides the network, as plain numbers and texts."""
        return {
            "iteration": self.iteration,
            "converged": self.converged,
            "window": [dict(densities) for densities in self._window],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what ``state_dict`` gave."""
        self.iteration = state["iteration"]
        self.converged = state["converged"]
        self._window = [dict(densities) for densities in state["window"]]

    def _saturated(self) -> bool:
        if len(self._window) < self.config.window:
            return False
        histories = zip(*(densities.values() for densities in self._window), strict=True)
        return all(max(history) - min(history) <= self.config.tolerance for history in histories)

    def _bits(self, densities: Mapping[str, float]) -> dict[str, int]:
        """k_l <- max(2, round(k_l * AD_l)) for all layers but the first and the last."""
        bits = dict(self.prepared.bits)
        for layer in self.prepared.layers[1:-1]:
            if layer in densities:
                bits[layer] = scaled(bits[layer], densities[layer], self.config.minimum_bits)
        for layer, joined in self.prepared.followers.items():
            bits[layer] = bits[joined]
        return bits

    def _channels(self, densities: Mapping[str, float]) -> dict[str, int]:
        """C_l <- round(C_l * AD_l): the layers that shrink, one for each group that shares."""
        if not self.config.pruning or self.iteration > self.config.pruning_iterations:
            return {}
        channels = {}
        for group in self.prepared.groups:
            watched = [densities[layer] for layer in group if layer in densities]
            if not watched:
                continue
            now = self.prepared.channels[group[0]]
            kept = max(sum(watched) / len(watched), self.config.minimum_kept)
            wanted = scaled(now, kept, self.config.minimum_channels)
            if wanted < now:
                channels[group[0]] = wanted
        return channels
