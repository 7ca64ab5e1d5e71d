"""Device, number format and processes of a training run."""

import contextlib
import os
import textwrap
import warnings
from collections.abc import Iterator

import torch
from lightning_fabric import Fabric

from adq.training.config import TrainingConfig


class TrainingError(RuntimeError):
    """Training cannot start or continue."""


def find_device(name: str) -> torch.device:
    """Return the device that a recipe names.

    Raises
    ------
    TrainingError
        If the device cannot be used.

    """
    if name == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    try:
        device = torch.zeros(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = textwrap.shorten(str(error).splitlines()[0].split(". ")[0], 80)
        raise TrainingError(
            f'device {name!r} cannot be used ({reason}): set device = "cpu" in [training]'
        ) from None
    if device.type not in ("cpu", "cuda"):
        raise TrainingError(
            f'device {name!r} cannot be used (neither CPU nor GPU): set device = "cpu" in '
            "[training]"
        )
    return device


def emulates_bfloat16(training: TrainingConfig) -> bool:
    """Return whether training computes in bfloat16 on a processor that lacks it.

    Processors with AVX2 and without AVX-512 convert every operand to float32.
    """
    return (
        training.precision == "bfloat16"
        and find_device(training.device).type == "cpu"
        and torch.backends.cpu.get_cpu_capability() == "AVX2"
    )


def start_processes(training: TrainingConfig) -> Fabric:
    """Return a Fabric for the recipe's device, joined with the processes of ``torchrun``, if any.

    Raises
    ------
    TrainingError
        If the device cannot be used, or a batch cannot be shared evenly among the processes.

    """
    device = find_device(training.device)
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if training.batch_size % processes:
        raise TrainingError(
            f"batch_size {training.batch_size} in [training] cannot be shared evenly among "
            f"{processes} processes: choose a multiple"
        )
    gpu = device.type == "cuda"
    bfloat16 = training.precision == "bfloat16" or (training.precision == "auto" and gpu)
    fabric = Fabric(
        accelerator="gpu" if gpu else "cpu",
        devices=[device.index] if gpu and processes == 1 else local,
        num_nodes=processes // local,
        strategy="ddp" if processes > 1 else "auto",
        precision="bf16-mixed" if bfloat16 else "32-true",
    )
    fabric.launch()
    return fabric


@contextlib.contextmanager
def reproducible(training: TrainingConfig) -> Iterator[None]:
    """Make results reproducible to the last bit within the context.

    On a GPU, operations without a deterministic implementation run with a warning.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(training.threads)
    torch.use_deterministic_algorithms(True, warn_only=training.device != "cpu")
    try:
        with torch.random.fork_rng(), warnings.catch_warnings():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
