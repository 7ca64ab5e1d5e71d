"""Observers of a training run, such as progress on a terminal or events for TensorBoard."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from adq.runs.history import Epoch

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from adq.training.network_training import NetworkTraining


class Observer:
    """Base class of observers. Subclasses override the events that they need."""

    def begin(self, network: "NetworkTraining") -> None:
        """Handle the start or resumption of a network's training."""

    def step(self, network: "NetworkTraining") -> None:
        """Handle the end of an optimizer step."""

    def epoch(self, epoch: Epoch) -> None:
        """Handle the end of an epoch, after its checkpoint and history are written."""


class Observers(Observer):
    """Forwards events to several observers."""

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
    """Writes the figures of each epoch as TensorBoard events. Needs the package ``tensorboard``.

    The folder is created after the first epoch, when an older run has been replaced.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._writers: dict[str, SummaryWriter] = {}

    def epoch(self, epoch: Epoch) -> None:
        from torch.utils.tensorboard import SummaryWriter

        if epoch.network not in self._writers:
            # Discard later events of an interrupted run.
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
