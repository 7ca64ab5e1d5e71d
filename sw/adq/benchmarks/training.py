"""Images a second and peak memory in training: plain float32, ours, Brevitas.

Three trainings of the same network: plain, ours with activation density and quantizers at mixed
precision, and Brevitas' quantization-aware training at the same bits. They take turns, a few steps
each, so that a busy machine slows them alike: the ratios count, and their median over the rounds is
what is shown. Memory is the peak that a few steps add to a fresh process.

Both libraries look for the ranges of activations in the first batches of a training, which slows
these: ``range_batches`` of ours, ``collect_stats_steps`` of Brevitas'. A training has many more.
Here both look at the first batch alone, and no step that is timed looks for ranges.
"""

import itertools
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

import adq
from adq.models import build
from adq.training.config import QuantizationConfig

SHAPE, CLASSES = (3, 32, 32), 10
MIDDLE_BITS = 4
"""Precision of all layers but the first and the last, which have 16 bits."""
RANGE_BATCHES = 1
"""Batches in which ranges are looked for: none of those that are timed."""
KINDS = ("plain", "adq", "brevitas")

Step = Callable[[], None]


def _layers(model: nn.Module) -> list[nn.Module]:
    return [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]


def _bits(layers: int) -> list[int]:
    return [16, *[MIDDLE_BITS] * (layers - 2), 16]


def adq_model(name: str) -> nn.Module:
    """Return the network with this project's quantizers and density counting."""
    prepared = adq.prepare(
        build(name, SHAPE, CLASSES),
        torch.zeros(1, *SHAPE),
        config=QuantizationConfig(range_batches=RANGE_BATCHES),
    )
    layers = prepared.layers
    prepared.set_bits(dict(zip(layers, _bits(len(layers)), strict=True)))
    return prepared.model


def brevitas_model(name: str) -> nn.Module:
    """Return the same plain network with Brevitas' layers in the place of its own.

    A layer's bits are those of its weights and of the activations that it reads.
    """
    from brevitas import nn as qnn

    model = build(name, SHAPE, CLASSES)
    bits = iter(_bits(len(_layers(model))))
    ranges = {"collect_stats_steps": RANGE_BATCHES}
    modules: list[nn.Module] = [qnn.QuantIdentity(bit_width=16, **ranges)]
    for module in model.children():
        match module:
            case nn.Conv2d():
                modules.append(
                    qnn.QuantConv2d(
                        module.in_channels,
                        module.out_channels,
                        module.kernel_size,
                        stride=module.stride,
                        padding=module.padding,
                        bias=module.bias is not None,
                        weight_bit_width=next(bits),
                    )
                )
            case nn.Linear():
                modules.append(
                    qnn.QuantLinear(
                        module.in_features,
                        module.out_features,
                        bias=module.bias is not None,
                        weight_bit_width=next(bits),
                    )
                )
            case nn.ReLU():
                bits, upcoming = itertools.tee(bits)
                modules.append(qnn.QuantReLU(bit_width=next(upcoming), **ranges))
            case _:
                modules.append(module)
    return nn.Sequential(*modules)


def make_step(kind: str, name: str, batch: int, device: torch.device) -> Step:
    """Build a network, and return what trains it by one step on the same random images."""
    torch.manual_seed(0)
    makers = {
        "plain": lambda: build(name, SHAPE, CLASSES),
        "adq": lambda: adq_model(name),
        "brevitas": lambda: brevitas_model(name),
    }
    model = makers[kind]().to(device=device, memory_format=torch.channels_last).train()
    images = torch.randn(batch, *SHAPE, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(CLASSES, (batch,), device=device)
    optimizer = torch.optim.Adam([each for each in model.parameters() if each.requires_grad])

    def step() -> None:
        loss = functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def measure_speed(
    name: str,
    batch: int,
    device: torch.device,
    *,
    rounds: int,
    steps: int,
    progress: Callable[[str], None],
) -> dict[str, list[float]]:
    """Return images a second of each kind, a value a round."""
    trained = {kind: make_step(kind, name, batch, device) for kind in KINDS}
    for step in trained.values():
        for _ in range(2):
            step()
    speeds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for turn in range(rounds):
        progress(f"speed, round {turn + 1} of {rounds}")
        for kind, step in trained.items():
            _wait(device)
            start = time.perf_counter()
            for _ in range(steps):
                step()
            _wait(device)
            speeds[kind].append(steps * batch / (time.perf_counter() - start))
    return speeds


def measure_memory(kind: str, name: str, batch: int, device: torch.device) -> int:
    """Return the bytes that three steps add at their peak, in this process."""
    step = make_step(kind, name, batch, device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        for _ in range(3):
            step()
        return torch.cuda.max_memory_allocated(device) - before
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from now on
    for _ in range(3):
        step()
    return _resident("VmHWM") - before


def _resident(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return 1024 * int(line.split()[1])
    raise OSError(f"/proc/self/status has no {field}")


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure_memory_apart(kind: str, name: str, batch: int, device: str, threads: int) -> int:
    """Return the bytes that three steps add at their peak, in a fresh process."""
    # Freed tensors go back to the system at once, so that resident memory is live memory.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
    command = [sys.executable, "-m", "adq.benchmarks.training"]
    result = subprocess.run(
        [*command, kind, name, str(batch), device, str(threads)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(result.stdout)


def ratios(speeds: Mapping[str, Sequence[float]], memory: Mapping[str, int]) -> dict[str, float]:
    """Compare ours with the others: speeds as medians over the rounds, and peak memory."""

    def speed(kind: str) -> float:
        pairs = zip(speeds["adq"], speeds[kind], strict=True)
        return statistics.median(ours / other for ours, other in pairs)

    return {
        "speed of plain": speed("plain"),
        "speed of Brevitas": speed("brevitas"),
        "memory of plain": memory["adq"] / memory["plain"],
    }


if __name__ == "__main__":
    _kind, _name, _batch, _device, _threads = sys.argv[1:]
    torch.set_num_threads(int(_threads))
    print(measure_memory(_kind, _name, int(_batch), torch.device(_device)))
