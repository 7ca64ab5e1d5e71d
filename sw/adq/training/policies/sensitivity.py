"""Sensitivity: how much the loss rises when one layer alone gets fewer bits.

It is measured, not estimated: the network classifies sample images once for each layer and
precision.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch.nn import functional

from adq.quantization.prepared import Prepared
from adq.training.policies.trial import Trial

__all__ = ["loss_increases"]

MEASURED = (2, 3, 4, 6, 8)
"""Precisions at which the loss is measured. Between them its logarithm is linear in the bits."""

_LEAST = 1e-6
"""Smallest increase that is told from none."""


@torch.no_grad()
def loss_increases(
    prepared: Prepared,
    images: torch.Tensor,
    labels: torch.Tensor,
    layers: Mapping[str, Sequence[str]],
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = functional.cross_entropy,
) -> dict[str, dict[int, float]]:
    """Return the increase of the loss by layer and bits, from 2 to 16.

    Parameters
    ----------
    prepared
        Trained network. It is left as it is.
    images, labels
        Samples (N, C, H, W) and what ``loss`` compares the network's output with.
    layers
        Layers that get a precision together, by the name of the first.
    loss
        Mean loss of outputs and labels.

    """
    increases: dict[str, dict[int, float]] = {}
    present = prepared.bits
    trial = Trial(prepared)
    base = loss(trial.model(images), labels).item()
    for name, members in layers.items():
        measured = {present[name]: _LEAST}
        for k in MEASURED:
            if k < present[name]:
                trial.set_bits({**present, **dict.fromkeys(members, k)})
                trial.find_ranges(images)
                measured[k] = max(_LEAST, loss(trial.model(images), labels).item() - base)
                trial.restore()
        increases[name] = _between(measured)
    return increases


def _between(measured: Mapping[int, float]) -> dict[int, float]:
    """Interpolate, and let no precision lose more than a lower one."""
    known = sorted(measured)
    logarithms = np.interp(range(2, 17), known, np.log([measured[k] for k in known]))
    falling = np.maximum.accumulate(logarithms[::-1])[::-1]
    return dict(zip(range(2, 17), np.exp(falling).tolist(), strict=True))
