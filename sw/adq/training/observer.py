"""Who watches a training run: progress on a terminal, events for TensorBoard, a test."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from adq.runs.history import Epoch

if TYPE_CHECKING:
    from adq.training.network_training import NetworkTraining


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
    """Writes an epoch's figures as events; needs the package ``tensorboard``.

    The folder is made with the first epoch, when an older run has given way.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._writers = {}

    def epoch(self, epoch: Epoch) -> None:
        from torch.utils.tensorboard import SummaryWriter

        if epoch.network not in self._writers:
            # What a run that was cut off had written from here on does not count.
            self._writers[epoch.network] = SummaryWriter(
                self._folder / epoch.network, purge_step=epoch.epoch
            )
        writer = self._writers[epoch.network]
        scalars = {
            "loss": epoch.loss,
            "accuracy": epoch.accuracy,
            **{f"density/{layer}": value for layer, value in epoch.density.items()},
            **{f"bits/{layer}": value for layer, value in epoch.bits.items()},
            **{f"channels/{layer}": value for layer, value in epoch.channels.items()},
        }
        for name, value in scalars.items():
            writer.add_scalar(name, value, epoch.epoch)
        writer.flush()
