"""Who watches a training run: progress on a terminal, events for TensorBoard, a test."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from adq.training.history import Epoch

if TYPE_CHECKING:
    from adq.training.network import NetworkTraining


class Observer:
    """Watches training while it runs; what it does not care for it leaves out."""

    def begin(self, network: "NetworkTraining") -> None:
        """See the training of a network begin, or go on."""

    def step(self, network: "NetworkTraining") -> None:
        """See a step of the optimizer done."""

    def epoch(self, epoch: Epoch) -> None:
        """See an epoch done, and its checkpoint and history written."""


class Observers(Observer):
    """Several observers as one."""

    def __init__(self, observers: Iterable[Observer]):
        self._observers = tuple(observers)

    def begin(self, network: "NetworkTraining") -> None:
        for observer in self._observers:
            observer.begin(network)

    def step(self, network: "NetworkTraining") -> None:
        for observer in self._observers:
            observer.step(network)

    def epoch(self, epoch: Epoch) -> None:
        for observer in self._observers:
            observer.epoch(epoch)


class TensorBoardObserver(Observer):
    """Writes an epoch's figures as events; needs the package ``tensorboard``."""

    def __init__(self, folder: Path):
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(folder)

    def epoch(self, epoch: Epoch) -> None:
        scalars = {
            "loss": epoch.loss,
            "accuracy": epoch.accuracy,
            **{f"density/{layer}": value for layer, value in epoch.density.items()},
            **{f"bits/{layer}": value for layer, value in epoch.bits.items()},
            **{f"channels/{layer}": value for layer, value in epoch.channels.items()},
        }
        for name, value in scalars.items():
            self._writer.add_scalar(f"{epoch.network}/{name}", value, epoch.epoch)
        self._writer.flush()
