"""Contents of an artifact: a network, and every integer that it computes for some images."""

import dataclasses
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from adq.golden.files.json_reader import JsonObject
from adq.golden.files.stored_arrays import Array, Spool, cast, chunks, limits
from adq.golden.integer_network import run
from adq.golden.network import INPUT, ActivationFormat, Network

PREFIX = "samples/"
"""Start of the names of tensors that are samples."""

BATCH_BYTES = 2**22
"""Bytes of the integers of images that are computed or compared at a time."""

BATCH = 256
"""Most images that are."""

MEMORY_BYTES = 2**22
"""Bytes of samples beyond which they are recorded in a file in place of memory."""


class ArtifactError(ValueError):
    """An artifact that cannot be used. The message says which file, which tensor, what to do."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Images and their integers in every node; the first axis of every array is N.

    The arrays of an artifact that was read, or of many images, lie in a file: a slice of images
    reads these alone, ``batches`` goes through all of them in bounded memory, and NumPy takes such
    an array as any other, at the cost of reading all of it.
    """

    inputs: Array
    """(N, C, H, W) in the input format's dtype."""
    labels: Array
    """int64 (N, ...): the true classes, in the shape of ``classes``."""
    accumulators: dict[str, Array]
    """int64 (N, ...) of every matrix layer and average pool, bias included, by node."""
    outputs: dict[str, Array]
    """(N, ...) of every node that gives activations, in the dtype of its format, by node."""
    logits: Array
    """int64 (N, classes, ...): accumulators of the network's first output, or its activations."""
    classes: Array
    """int64 (N, ...): the position of the largest logit, the first of equal ones."""

    @classmethod
    def record(cls, network: Network, inputs: Array, labels: np.ndarray | None) -> "Samples":
        """Run the integer network on images (N, C, H, W) and keep everything.

        Without labels the network's own classes stand for them.

        Raises
        ------
        NetworkError
            As ``adq.golden.integer_network.run``.

        """
        first = network.check_inputs(inputs[:1])
        contents = _contents(network, len(inputs))
        sizes = {
            name: math.prod(each.shape) * each.dtype.itemsize for name, each in contents.items()
        }
        make = Spool().array if sum(sizes.values()) > MEMORY_BYTES else np.empty
        arrays = {name: make(each.shape, each.dtype) for name, each in contents.items()}
        for part in _parts(network, len(inputs)):
            trace = run(network, inputs[part])
            arrays["samples/inputs"][part] = inputs[part].astype(first.dtype, copy=False)
            arrays["samples/classes"][part] = trace.classes
            for kind in ("accumulators", "outputs"):
                for name, found in getattr(trace, kind).items():
                    arrays[f"samples/{kind}/{name}"][part] = found
        arrays["samples/labels"] = (
            arrays["samples/classes"] if labels is None else np.asarray(labels)
        )
        return cls._of(network, arrays)

    @classmethod
    def _of(cls, network: Network, arrays: dict[str, Array]) -> "Samples":
        """Sort arrays by the names that they have in the file."""

        def by_node(kind: str) -> dict[str, Array]:
            prefix = f"samples/{kind}/"
            return {
                name.removeprefix(prefix): array
                for name, array in arrays.items()
                if name.startswith(prefix)
            }

        accumulators, outputs = by_node("accumulators"), by_node("outputs")
        return cls(
            inputs=arrays["samples/inputs"],
            labels=arrays["samples/labels"],
            accumulators=accumulators,
            outputs=outputs,
            logits=_logits(network, accumulators, outputs),
            classes=arrays["samples/classes"],
        )

    def __getitem__(self, part: slice) -> "Samples":
        """Return some of the images, in memory."""

        def of_nodes(arrays: dict[str, Array]) -> dict[str, Array]:
            return {name: array[part] for name, array in arrays.items()}

        return Samples(
            inputs=self.inputs[part],
            labels=self.labels[part],
            accumulators=of_nodes(self.accumulators),
            outputs=of_nodes(self.outputs),
            logits=self.logits[part],
            classes=self.classes[part],
        )

    def batches(self, network: Network, images: int | None = None) -> "Iterator[Samples]":
        """Yield all images, or the first ones, in parts of bounded memory."""
        for part in _parts(network, len(self) if images is None else images):
            yield self[part]

    def __len__(self) -> int:
        return len(self.inputs)

    def tensors(self) -> dict[str, Array]:
        """Return the arrays under their names in the file, where the logits stand only once."""
        return {
            "samples/inputs": self.inputs,
            "samples/labels": self.labels,
            "samples/classes": self.classes,
            **{f"samples/accumulators/{name}": a for name, a in self.accumulators.items()},
            **{f"samples/outputs/{name}": a for name, a in self.outputs.items()},
        }

    @classmethod
    def from_tensors(cls, network: Network, tensors: dict[str, Array]) -> "Samples":
        """Undo ``tensors``, with arrays of any integer dtype.

        Raises
        ------
        ArtifactError
            A tensor is missing or one too many, or has another shape or values out of range.

        """
        count = len(tensors["samples/inputs"]) if "samples/inputs" in tensors else 0
        contents = _contents(network, count)
        _check_tensors(contents, tensors)
        arrays = {name: cast(tensors[name], each.dtype) for name, each in contents.items()}
        return cls._of(network, arrays)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Artifact:
    """A network, its samples, and who made them.

    ``generator`` is free-form JSON beyond its ``name`` and ``version``: configuration, seed,
    measured accuracies. The samples' shapes and ranges are checked here; whether they are what
    the network computes is the question that ``verify_artifact`` answers.

    Raises
    ------
    ArtifactError
        The samples do not suit the network; the message names the tensor as in the file.

    """

    network: Network
    samples: Samples
    generator: JsonObject

    def __post_init__(self) -> None:
        contents = _contents(self.network, len(self.samples))
        _check_tensors(contents, self.samples.tensors())
        samples = self.samples
        logits = _logits(self.network, samples.accumulators, samples.outputs)
        if not _equal(samples.logits, logits):
            raise ArtifactError(f"logits differ from samples of {self.network.outputs[0]}")


class _Content(NamedTuple):
    """Shape, range and type that a tensor of samples must have."""

    shape: tuple[int, ...]
    lo: int
    hi: int
    dtype: np.dtype

    @classmethod
    def activations(cls, shape: tuple[int, ...], target: ActivationFormat) -> "_Content":
        return cls(shape, target.lo, target.hi, target.dtype)


def _contents(network: Network, count: int) -> dict[str, _Content]:
    """Return the tensors of ``count`` samples, by name, in the file's order."""
    int64 = np.iinfo(np.int64)
    choices, *places = network.shapes[network.outputs[0]]
    classes = _Content((count, *places), 0, choices - 1, int64.dtype)

    def activations(name: str) -> _Content:
        return _Content.activations((count, *network.shapes[name]), network.formats[name])

    return {
        "samples/inputs": activations(INPUT),
        "samples/labels": classes,
        "samples/classes": classes,
        **{
            f"samples/accumulators/{name}": _Content(
                (count, *network.shapes[name]), int64.min, int64.max, int64.dtype
            )
            for name in network.accumulating
        },
        **{
            f"samples/outputs/{name}": activations(name)
            for name in network.formats
            if name != INPUT
        },
    }


def _parts(network: Network, count: int) -> Iterator[slice]:
    """Yield slices of ``count`` images whose integers are of bounded size."""
    integers = sum(map(math.prod, network.shapes.values()))
    size = max(1, min(BATCH, BATCH_BYTES // (integers * np.dtype(np.int64).itemsize)))
    for first in range(0, count, size):
        yield slice(first, min(first + size, count))


def _logits(network: Network, accumulators: dict[str, Array], outputs: dict[str, Array]) -> Array:
    """Choose the network's first output."""
    first = network.outputs[0]
    return cast(outputs[first], np.dtype(np.int64)) if first in outputs else accumulators[first]


def _equal(one: Array, other: Array) -> bool:
    if one is other:
        return True
    if one.shape != other.shape:
        return False
    return all(np.array_equal(*pair) for pair in zip(chunks(one), chunks(other), strict=True))


def _check_tensors(contents: dict[str, _Content], tensors: dict[str, Array]) -> None:
    for name in sorted(contents.keys() - tensors.keys()):
        raise ArtifactError(f"tensor {name} is missing")
    for name in sorted(tensors.keys() - contents.keys()):
        raise ArtifactError(f"tensor {name!r} belongs to no node")
    for name, (shape, lo, hi, _) in contents.items():
        array = tensors[name]
        if not np.issubdtype(array.dtype, np.integer):
            raise ArtifactError(f"tensor {name} is {array.dtype}, it must be of integers")
        if array.shape != shape or array.size == 0:
            raise ArtifactError(
                f"tensor {name} has shape {array.shape}, it must be {shape} with at least one image"
            )
        least, most = limits(array)
        if least < lo or most > hi:
            raise ArtifactError(
                f"tensor {name} spans {least} to {most}, it must lie within {lo} to {hi}"
            )
