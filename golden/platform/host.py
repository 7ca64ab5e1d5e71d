"""The host's part: images into the input memory, results out of the output memory.

Also the comparison of everything that a program computes with the integer network.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from adq.golden.files.json_reader import JsonObject
from adq.golden.integer_network import Trace
from adq.golden.mapping.im2col import windows
from adq.golden.network import MatrixLayer, MaxPool2d, Network
from adq.golden.platform.interpreter import Executed, Interpreter
from adq.golden.platform.planning.layout import Layout
from adq.golden.platform.program import Program


def input_memory(program: Program, inputs: np.ndarray) -> bytes:
    """Return the input memory of images (N, C, H, W) or (N, F); images that lack are 0.

    Raises
    ------
    ValueError
        There are more images than the program computes, or they have another shape.

    """
    described = program.notes["input"]
    shape = tuple(described["shape"])
    if inputs.shape[1:] != shape or not 1 <= len(inputs) <= program.images:
        raise ValueError(
            f"images have shape {inputs.shape}: the program takes up to {program.images} of {shape}"
        )
    layout = _layout(program, described["layout"])
    images = np.zeros((program.images, *shape), dtype=np.int64)
    images[: len(inputs)] = inputs
    if len(shape) == 1:
        images = images.reshape(*images.shape, 1, 1)
    if described["windows"] is not None:
        pairs = {name: tuple(pair) for name, pair in described["windows"].items()}
        view = windows(images, **pairs)  # (N, C, OH, OW, KH, KW)
        count, _, height, width, *_ = view.shape
        images = view.transpose(0, 4, 5, 1, 2, 3).reshape(count, -1, height, width)
    return layout.pack(images).tobytes()


def read_outputs(program: Program, memory: np.ndarray) -> dict[str, np.ndarray]:
    """Return what the network returns, int64 (N, ...) by node, from the output memory."""
    found = {}
    for name, described in program.notes["outputs"].items():
        shape, first = tuple(described["shape"]), described["memory"]
        channels, *sides = shape
        if described["layout"] is None:
            size = 8 * program.images * int(np.prod(shape))
            values = memory[first : first + size].view("<i8")
            values = np.moveaxis(values.reshape(program.images, *sides, channels), -1, 1)
        else:
            layout = _layout(program, described["layout"])
            size = layout.image_words * layout.word_bits // 8 * program.images
            words = memory[first : first + size]
            words = words.reshape(program.images, layout.image_words, -1)
            values = layout.unpack(words)
            if len(shape) > 1:
                values = values[:, described["channel"] :][:, :channels]
        found[name] = values.reshape(program.images, *shape)
    return found


def _layout(program: Program, described: JsonObject) -> Layout:
    return Layout(word_bits=program.platform.rows, **described)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Integers of a node that a program and the integer network computed."""

    integers: int
    differing: int


def run_and_compare(
    network: Network, program: Program, inputs: np.ndarray, expected: Trace
) -> tuple[dict[str, np.ndarray], dict[str, Compared]]:
    """Run a program on images and compare every integer on the way.

    ``expected`` is what the integer network computes for the same images. Returns what the
    program returns, for these images, and the integers compared of each node that has some.

    Raises
    ------
    adq.rtl.platform.descriptors.DescriptorError
        The platform cannot run the program.

    """
    interpreter = Interpreter(
        program.platform, program.memory, input_memory(program, inputs), program.output_bytes
    )
    counts: dict[str, list[int]] = {}

    def compare(name: str, left: np.ndarray, right: np.ndarray) -> None:
        count = counts.setdefault(name, [0, 0])
        count[0] += left.size
        count[1] += int((left != right).sum())

    for executed in interpreter.run():
        note = program.notes["layers"][str(executed.index)]
        _compare_layer(network, note, executed, expected, len(inputs), compare)
    outputs = {
        name: values[: len(inputs)]
        for name, values in read_outputs(program, interpreter.outputs).items()
    }
    for name, values in outputs.items():
        known = expected.outputs.get(name)
        compare(name, values, expected.accumulators[name] if known is None else known)
    return outputs, {
        name: Compared(integers=integers, differing=differing)
        for name, (integers, differing) in counts.items()
    }


def _compare_layer(
    network: Network,
    note: JsonObject,
    executed: Executed,
    expected: Trace,
    images: int,
    compare: Callable[[str, np.ndarray, np.ndarray], None],
) -> None:
    name, first = note["node"], note["first"]
    outputs = executed.accumulators.shape[1]
    window = len(executed.results) // len(executed.pooled)
    height, width = _sides(network.shapes[name])
    inside = (
        (executed.image < images)
        & (executed.row >= 0) & (executed.row < height)
        & (executed.column >= 0) & (executed.column < width)
    )  # fmt: skip
    at = executed.image[inside], executed.row[inside], executed.column[inside]

    def reference(tensor: np.ndarray) -> np.ndarray:
        """Integers of the network at the vectors' places: (V, O)."""
        if tensor.ndim == 2:
            tensor = tensor[:, :, None, None]
        places: np.ndarray = tensor.transpose(0, 2, 3, 1)[at]
        return places[:, first : first + outputs]

    if name in expected.accumulators:
        node = network[name]
        sums = executed.accumulators[inside]
        if isinstance(node, MatrixLayer):
            sums = sums + node.bias[first : first + outputs]
        compare(name, sums, reference(expected.accumulators[name]))
        if name not in expected.outputs:
            compare(name, executed.results[inside], reference(expected.accumulators[name]))
    if isinstance(network[note["output"]], MaxPool2d):
        if note["output"] != name:
            compare(name, executed.results[inside], reference(expected.outputs[name]))
        pooled = expected.outputs[note["output"]]
        chosen = executed.image[::window] < images
        some = np.unique(executed.image[executed.image < images])
        whole = pooled[some].transpose(0, 2, 3, 1).reshape(-1, pooled.shape[1])
        compare(note["output"], executed.pooled[chosen], whole[:, first : first + outputs])
    elif name in expected.outputs:
        compare(name, executed.results[inside], reference(expected.outputs[name]))


def _sides(shape: tuple[int, ...]) -> tuple[int, int]:
    return (shape[1], shape[2]) if len(shape) == 3 else (1, 1)
