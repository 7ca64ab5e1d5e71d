"""Training progress: a bar and a table of layers on a terminal, else one line per epoch."""

from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from adq.console import Console
from adq.runs.history import Epoch
from adq.training.observer import Observer

if TYPE_CHECKING:
    from adq.training.network_training import NetworkTraining


class TrainingProgress(Observer):
    """Shows loss, accuracy, and the density, bits and channels of each layer. A context manager."""

    def __init__(self, console: Console):
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description:8}"),
            BarColumn(),
            TextColumn("epoch {task.fields[epoch]}"),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[result]}"),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._live = Live(self._bars, console=console)

    def __enter__(self) -> "TrainingProgress":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def begin(self, network: "NetworkTraining") -> None:
        epochs, epoch = network.recipe.training.epochs, network.epoch
        self._tasks[network.name] = self._bars.add_task(
            network.name,
            total=epochs * network.steps,
            completed=epoch * network.steps + network.step,
            epoch=f"{min(epoch + 1, epochs)}/{epochs}",
            result="",
        )

    def step(self, network: "NetworkTraining") -> None:
        self._bars.advance(self._tasks[network.name])

    def epoch(self, epoch: Epoch) -> None:
        result = f"loss {epoch.loss:.4f}  accuracy {epoch.accuracy:.2%}"
        task = self._tasks[epoch.network]
        self._bars.update(task, epoch=str(epoch.epoch), result=result)
        if self._console.is_terminal:
            self._live.update(Group(self._bars, _layers(epoch)))
        else:
            bits = " ".join(map(str, epoch.bits.values()))
            self._console.print(
                f"{epoch.network} epoch {epoch.epoch}  {result}  bits {bits}",
                highlight=False,
                soft_wrap=True,
            )


def _layers(epoch: Epoch) -> Table:
    table = Table(title=f"{epoch.network}, epoch {epoch.epoch}, iteration {epoch.iteration}")
    table.add_column("layer")
    for heading in ("AD", "bits", "channels"):
        table.add_column(heading, justify="right")
    for layer, bits in epoch.bits.items():
        density = epoch.density.get(layer)
        shown = "-" if density is None else f"{density:.3f}"
        table.add_row(layer, shown, str(bits), str(epoch.channels[layer]))
    return table
