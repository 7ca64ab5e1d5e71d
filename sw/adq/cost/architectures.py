"""Work of the package's architectures, computed from their lists without PyTorch."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from adq.cost.models import BASELINE_BITS
from adq.cost.work import LayerWork
from adq.models import ARCHITECTURES, ModelError

KERNEL = 3
"""Kernel size of every convolution, except the 1x1 convolutions on skip connections."""


def listed_work(
    architecture: str,
    input_shape: Sequence[int],
    classes: int,
    channels: Mapping[str, int] | None = None,
) -> tuple[LayerWork, ...]:
    """Return the layers of one of ``ARCHITECTURES`` at 16 bits, in the order in which they run.

    Names, ``channels`` and errors are the same as those of :func:`adq.models.build`.

    Raises
    ------
    adq.models.ModelError
        If the images are too small, or the channels of a skip connection differ.

    """
    channels = channels or {}
    width, *sides = input_shape
    layers: list[LayerWork] = []
    counts: Counter[str] = Counter()

    def name(kind: str) -> str:
        counts[kind] += 1
        return f"{kind}{counts[kind]}"

    def add(
        layer: str, inputs: int, outputs: int, before: list[int], after: list[int], kernel: int = 1
    ) -> None:
        weights = kernel**2 * inputs * outputs
        layers.append(
            LayerWork(
                name=layer,
                channels=outputs,
                macs=math.prod(after) * weights,
                inputs=math.prod(before) * inputs,
                weights=weights,
                weight_bits=BASELINE_BITS,
                activation_bits=BASELINE_BITS,
            )
        )

    for entry in ARCHITECTURES[architecture]:
        match entry:
            case "M":
                name("pool")
                sides = [side // 2 for side in sides]
            case "A":
                sides = [1, 1]
            case (inner, outer, stride):
                block = name("block")
                inner = channels.get(f"{block}.conv1", inner)
                outer = channels.get(f"{block}.conv2", outer)
                if stride == 1 and width != outer:
                    raise ModelError(
                        f"a skip connection adds {width} channels to {outer}: they must be equal"
                    )
                after = [-(-side // stride) for side in sides]
                add(f"{block}.conv1", width, inner, sides, after, KERNEL)
                add(f"{block}.conv2", inner, outer, after, after, KERNEL)
                if stride > 1:
                    add(f"{block}.shortcut.conv", width, outer, sides, after)
                width, sides = outer, after
            case _:
                conv = name("conv")
                outputs = channels.get(conv, entry)
                add(conv, width, outputs, sides, sides, KERNEL)
                width = outputs
    if min(sides) < 1:
        raise ModelError(
            f"images of {input_shape[1]}x{input_shape[2]} are too small for "
            f"{counts['pool']} poolings: choose another network"
        )
    add("linear", width * math.prod(sides), classes, [1, 1], [1, 1])
    return tuple(layers)
