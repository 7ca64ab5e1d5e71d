"""Controller: lowers bits and prunes channels by activation density during training.

Every layer starts at 16 bits. AD_l, the activation density of layer l, is measured in each epoch.
When it has saturated for all layers, the controller sets

    k_l <- max(2, round(k_l * AD_l))    bits of the weights and the input of layer l
    C_l <- round(C_l * AD_l)            output channels of layer l, if pruning is enabled

and training continues. This is one iteration. Iterations repeat until nothing changes. The first
and the last layer keep 16 bits. A skip connection has the bits of the layer that it joins. Layers
that share channels are pruned together, by their mean density. There is no re-training: the network
of the last iteration is the result.

Source: Vasquez et al., "Activation Density based Mixed-Precision Quantization for Energy
Efficient Neural Networks", DATE 2021. The paper does not define saturation. Here a density is
saturated if it varied by at most ``tolerance`` over the last ``window`` epochs of the iteration.
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
    """Decision of the controller after an epoch."""

    CONTINUE = "continue"
    """Nothing changes: a density has not saturated, or this is the last iteration."""
    LOWER = "lower"
    """An iteration has ended; bits or channels have changed."""
    CONVERGED = "converged"
    """Densities have saturated without a change; the current iteration is the last."""


def scaled(value: int, density: float, minimum: int) -> int:
    """Return the bits or channels for a saturated density: max(minimum, round(value * density)).

    The result never exceeds ``value``, even if ``value`` is below the minimum.
    """
    return min(value, max(minimum, math.floor(value * density + 0.5)))


class Controller:
    """Sets the bits and channels of every layer from its activation density.

    Attributes
    ----------
    iteration
        Current iteration, counted from 1.
    converged
        True if saturated densities have caused no change.

    Parameters
    ----------
    prepared
        Network at the bits of the first iteration.
    config
        Saturation criterion and limits.

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
        """Evaluate an epoch, and change the network if an iteration has ended.

        Parameters
        ----------
        densities
            Activation density of each layer in the epoch. Default: those counted by the network
            since the last step.
        remaining_epochs
            Number of epochs left. With fewer than ``settling_epochs``, nothing changes.
        optimizer
            Optimizer whose state is pruned with the channels. If omitted, the caller must create a
            new optimizer after pruning.

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
        """Return the state of the controller, without the network, as plain numbers and strings."""
        return {
            "iteration": self.iteration,
            "converged": self.converged,
            "window": [dict(densities) for densities in self._window],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that ``state_dict`` returned."""
        self.iteration = state["iteration"]
        self.converged = state["converged"]
        self._window = [dict(densities) for densities in state["window"]]

    def _saturated(self) -> bool:
        if len(self._window) < self.config.window:
            return False
        histories = zip(*(densities.values() for densities in self._window), strict=True)
        return all(max(history) - min(history) <= self.config.tolerance for history in histories)

    def _bits(self, densities: Mapping[str, float]) -> dict[str, int]:
        """Return k_l <- max(2, round(k_l * AD_l)), except for the first and the last layer."""
        bits = dict(self.prepared.bits)
        for layer in self.prepared.layers[1:-1]:
            if layer in densities:
                bits[layer] = scaled(bits[layer], densities[layer], self.config.minimum_bits)
        for layer, joined in self.prepared.followers.items():
            bits[layer] = bits[joined]
        return bits

    def _channels(self, densities: Mapping[str, float]) -> dict[str, int]:
        """Return C_l <- round(C_l * AD_l) of the layers to prune, one layer per shared group."""
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
