"""``python -m adq.training.benchmark``: images a second and peak memory in training.

Three trainings of the same network: plain float32, ours with activation density and quantizers at
mixed precision, and Brevitas' quantization-aware training at the same bits. They take turns, a
few steps each, so that a busy machine slows them alike: the ratios count, and their median over
the rounds is shown. Memory is the peak that a few steps add to a fresh process.
"""

import itertools
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import nn
from torch.nn import functional

import adq
from adq.files import write_json
from adq.models import build

SHAPE, CLASSES = (3, 32, 32), 10
MIDDLE_BITS = 4
"""Precision of all layers but the first and the last, which have 16 bits."""
KINDS = ("plain", "adq", "brevitas")
TARGETS = {
    "speed of plain": (0.75, "at least"),
    "speed of Brevitas": (1.5, "at least"),
    "memory of plain": (1.2, "less than"),
}

Step = Callable[[], None]


def _layers(model: nn.Module) -> list[nn.Module]:
    return [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]


def _bits(layers: int) -> list[int]:
    return [16, *[MIDDLE_BITS] * (layers - 2), 16]


def adq_model(name: str) -> nn.Module:
    """The network with this project's quantizers and density counting."""
    prepared = adq.prepare(build(name, SHAPE, CLASSES), torch.zeros(1, *SHAPE))
    layers = prepared.layers
    prepared.set_bits(dict(zip(layers, _bits(len(layers)), strict=True)))
    return prepared.model


def brevitas_model(name: str) -> nn.Module:
    """The same plain network with Brevitas' layers in the place of its own.

    A layer's bits are those of its weights and of the activations that it reads.
    """
    from brevitas import nn as qnn

    model = build(name, SHAPE, CLASSES)
    bits = iter(_bits(len(_layers(model))))
    modules: list[nn.Module] = [qnn.QuantIdentity(bit_width=16)]
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
                modules.append(qnn.QuantReLU(bit_width=next(upcoming)))
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
    name: str, batch: int, device: torch.device, rounds: int, steps: int, console: Console
) -> dict[str, list[float]]:
    """Images a second of each kind, a value a round."""
    trained = {kind: make_step(kind, name, batch, device) for kind in KINDS}
    for step in trained.values():
        for _ in range(2):
            step()
    speeds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in track(range(rounds), "speed", console=console, transient=True):
        for kind, step in trained.items():
            _wait(device)
            start = time.perf_counter()
            for _ in range(steps):
                step()
            _wait(device)
            speeds[kind].append(steps * batch / (time.perf_counter() - start))
    return speeds


def measure_memory(kind: str, name: str, batch: int, device: torch.device) -> int:
    """Bytes that three steps add at their peak, in this process."""
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


def _memory_of_fresh_process(kind: str, name: str, batch: int, device: str, threads: int) -> int:
    arguments = [f"--memory-of={kind}", f"--network={name}", f"--batch={batch}"]
    arguments += [f"--device={device}", f"--threads={threads}"]
    # Freed tensors go back to the system at once, so that resident memory is live memory.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
    result = subprocess.run(
        [sys.executable, "-m", "adq.training.benchmark", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(result.stdout)


def main(
    network: Annotated[str, typer.Option(help="Network of adq.models, a plain sequence.")] = "vgg9",
    batch: Annotated[int, typer.Option(min=2, help="Images of a step.")] = 128,
    rounds: Annotated[int, typer.Option(min=1, help="Turns that each training gets.")] = 7,
    steps: Annotated[int, typer.Option(min=1, help="Steps of a turn.")] = 2,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    out: Annotated[Path, typer.Option(help="Results as JSON.")] = Path("build/bench-train.json"),
    memory_of: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Compare training speed and memory: plain float32, ours, Brevitas."""
    torch.set_num_threads(threads)
    where = torch.device(device)
    if memory_of:
        print(measure_memory(memory_of, network, batch, where))
        return
    console = Console()
    speeds = measure_speed(network, batch, where, rounds, steps, console)
    memory = {
        kind: _memory_of_fresh_process(kind, network, batch, device, threads)
        for kind in track(KINDS, "memory", console=console, transient=True)
    }

    def ratio(kind: str) -> float:
        pairs = zip(speeds["adq"], speeds[kind], strict=True)
        return statistics.median(ours / other for ours, other in pairs)

    ratios = {
        "speed of plain": ratio("plain"),
        "speed of Brevitas": ratio("brevitas"),
        "memory of plain": memory["adq"] / memory["plain"],
    }
    conditions = {
        "network": network,
        "middle_bits": MIDDLE_BITS,
        "batch": batch,
        "device": device if where.type == "cpu" else torch.cuda.get_device_name(where),
        "threads": threads,
        "rounds": rounds,
        "steps": steps,
        "load_average": os.getloadavg()[0],
        "torch": torch.__version__,
        "machine": platform.machine(),
    }
    _print(console, conditions, speeds, memory, ratios)
    out.parent.mkdir(parents=True, exist_ok=True)
    results = {
        "conditions": conditions,
        "images_per_second": speeds,
        "peak_memory_bytes": memory,
        "ratios": ratios,
    }
    write_json(out, results)
    console.print(f"Written: {out}", highlight=False)


def _print(
    console: Console,
    conditions: dict[str, object],
    speeds: dict[str, list[float]],
    memory: dict[str, int],
    ratios: dict[str, float],
) -> None:
    title = "{network}, batch {batch}, {threads} threads on {device}, load {load_average:.1f}"
    table = Table(title=title.format(**conditions))
    table.add_column("training")
    for heading in ("images/s, median", "least", "most", "peak memory, MiB"):
        table.add_column(heading, justify="right")
    for kind, values in speeds.items():
        figures = (statistics.median(values), min(values), max(values), memory[kind] / 2**20)
        table.add_row(kind, *(f"{figure:.0f}" for figure in figures))
    console.print(table)
    table = Table(title=f"Ours, with densities and {MIDDLE_BITS} bits in the middle layers")
    table.add_column("ratio")
    table.add_column("measured", justify="right")
    table.add_column("target")
    table.add_column("")
    for name, value in ratios.items():
        limit, relation = TARGETS[name]
        reached = value >= limit if relation == "at least" else value < limit
        mark = "[green]reached[/]" if reached else "[red]missed[/]"
        table.add_row(name, f"{value:.2f}x", f"{relation} {limit}x", mark)
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
