"""The paper's algorithm: activation density lowers the precision of each layer in training.

Train every layer at 16 bits and watch AD_l, the activation density of layer l, each epoch. When
it has saturated for all layers, set

    k_l <- max(2, round(k_l * AD_l))

and train on with these bits; this is one iteration. Repeat until AD no longer calls for fewer
bits. The first and the last layer keep their 16 bits, and there is no re-training: the network of
the last iteration is the result.

Source: Vasquez et al., "Activation Density based Mixed-Precision Quantization for Energy
Efficient Neural Networks", DATE 2021. It does not say when a density counts as saturated; here it
has, once it varied by no more than ``tolerance`` over the last ``window`` epochs of the iteration.
"""

import enum
import math
from collections.abc import Mapping, Sequence

from adq.config import ControllerConfig


class Decision(enum.Enum):
    """What the controller concludes from an epoch."""

    CONTINUE = "continue"
    """Train on: not every density has saturated, or this iteration is the last anyway."""
    LOWER = "lower"
    """An iteration has ended and ``Controller.bits`` has changed."""
    CONVERGED = "converged"
    """Densities have saturated and call for no fewer bits: the present iteration is the last."""


def next_bits(bits: int, density: float, minimum: int) -> int:
    """Precision that a saturated density calls for: max(minimum, round(bits * density))."""
    return max(minimum, math.floor(bits * density + 0.5))


class Controller:
    """Watches densities and decides the precision of every layer.

    Parameters
    ----------
    layers
        Names of the quantized layers in order; the first and the last stay at their bits.
    config
        When a density has saturated, and the limits.

    """

    def __init__(self, layers: Sequence[str], config: ControllerConfig):
        self.config = config
        self.bits = dict.fromkeys(layers, config.initial_bits)
        """Present precision of each layer."""
        self.iteration = 1
        self.converged = False
        self._adaptive = tuple(layers[1:-1])
        self._window: list[dict[str, float]] = []

    def observe(self, densities: Mapping[str, float], remaining_epochs: int) -> Decision:
        """Take in an epoch's densities, a layer with a ReLU each, and decide."""
        self._window = [*self._window, dict(densities)][-self.config.window :]
        last = (
            self.converged
            or self.iteration == self.config.max_iterations
            or remaining_epochs < self.config.settling_epochs
        )
        if last or not self._saturated():
            return Decision.CONTINUE
        wanted = self.bits | {
            layer: next_bits(self.bits[layer], densities[layer], self.config.minimum_bits)
            for layer in self._adaptive
        }
        if wanted == self.bits:
            self.converged = True
            return Decision.CONVERGED
        self.bits = wanted
        self.iteration += 1
        self._window = []
        return Decision.LOWER

    def _saturated(self) -> bool:
        if len(self._window) < self.config.window:
            return False
        histories = zip(*(densities.values() for densities in self._window), strict=True)
        return all(max(history) - min(history) <= self.config.tolerance for history in histories)
