"""Who watches training: several at once, the terminal, TensorBoard."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from adq.runs.history import Epoch
from adq.training.observer import Observers, TensorBoardObserver
from adq.training.recording.progress import TrainingProgress


def epoch(number: int, **values) -> Epoch:
    return Epoch(
        **{
            "network": "mixed",
            "epoch": number,
            "iteration": 1,
            "loss": 1 / number,
            "accuracy": 0.5,
            "density": {"conv1": 0.5125},
            "bits": {"conv1": 16, "linear": 7},
            "channels": {"conv1": 32, "linear": 10},
            "macs": {"conv1": 1000, "linear": 10},
            **values,
        }
    )


NETWORK = SimpleNamespace(
    name="mixed",
    epoch=0,
    steps=5,
    step=0,
    recipe=SimpleNamespace(training=SimpleNamespace(epochs=3)),
)


@pytest.mark.parametrize("terminal", [True, False])
def test_progress(terminal):
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=120)
    with TrainingProgress(console) as progress:
        watched = Observers([progress])
        watched.begin(NETWORK)
        for _ in range(5):
            watched.step(NETWORK)
        watched.epoch(epoch(2))
    shown = output.getvalue()
    assert "loss 0.5000  accuracy 50.00%" in shown
    if terminal:
        for figure in ("conv1", "0.512", "16", "32", "linear", "7"):
            assert figure in shown
    else:
        assert shown == "mixed epoch 2  loss 0.5000  accuracy 50.00%  bits 16 7\n"


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard", reason="TensorBoard is optional")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    first = TensorBoardObserver(tmp_path)
    assert list(tmp_path.iterdir()) == []
    for number in (1, 2, 3):
        first.epoch(epoch(number, loss=float(number)))
    # Resumed after the checkpoint of epoch 1.
    second = TensorBoardObserver(tmp_path)
    second.epoch(epoch(2, loss=20.0))
    events = EventAccumulator(str(tmp_path / "mixed")).Reload()
    assert [(each.step, each.value) for each in events.Scalars("loss")] == [(1, 1.0), (2, 20.0)]
    assert events.Scalars("density/conv1")[0].value == pytest.approx(0.5125)
