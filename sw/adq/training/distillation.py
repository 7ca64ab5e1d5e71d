"""Distillation: a network learns what it gave itself at its initial bits."""

import torch
from lightning_fabric import Fabric
from torch.nn import functional

from adq.runs.checkpoint import Checkpoint

__all__ = ["TEMPERATURE", "Teacher"]

TEMPERATURE = 2.0
"""Divisor of the logits whose softmax is learned: classes that are not the first one count more."""


class Teacher:
    """The network as it was at the end of its first iteration.

    Parameters
    ----------
    checkpoint
        Checkpoint of that iteration.
    fabric
        Device and number format of the teacher's convolutions.
    """

    def __init__(self, checkpoint: Checkpoint, fabric: Fabric):
        # A network that is built draws weights, which the checkpoint replaces.
        with torch.random.fork_rng(devices=[]):
            model = checkpoint.build().model
        layout = torch.channels_last
        model.to(fabric.device).to(memory_format=layout)  # type: ignore[call-overload]  # no stub
        self.model = model.eval()
        self.fabric = fabric

    def loss(self, images: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Return the Kullback-Leibler divergence of logits from the teacher's, summed over images.

        Both are divided by ``TEMPERATURE``; the divergence is multiplied by its square, so that
        gradients are as large as those of a cross-entropy (Hinton et al., arXiv 1503.02531).

        Parameters
        ----------
        images : torch.Tensor
            Shape (N, C, H, W), as the network that learns takes them.
        logits : torch.Tensor
            Shape (N, classes), of that network.
        """
        with torch.no_grad(), self.fabric.autocast():
            targets = self.model(images)
        divergence = functional.kl_div(
            functional.log_softmax(logits / TEMPERATURE, dim=1),
            functional.log_softmax(targets.float() / TEMPERATURE, dim=1),
            reduction="sum",
            log_target=True,
        )
        return divergence * TEMPERATURE**2
