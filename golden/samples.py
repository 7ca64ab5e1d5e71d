"""Contents of an artifact: a network, and every integer that it computes for some images."""

import dataclasses
from typing import NamedTuple

import numpy as np

from adq.golden.files.json_reader import JsonObject
from adq.golden.integer_network import run
from adq.golden.network import INPUT, ActivationFormat, Network


class ArtifactError(ValueError):
    """An artifact that cannot be used. The message says which file, which tensor, what to do."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Images and their integers in every node; the first axis of every array is N."""

    inputs: np.ndarray
    """(N, C, H, W) in the input format's dtype."""
    labels: np.ndarray
    """int64 (N, ...): the true classes, in the shape of ``classes``."""
    accumulators: dict[str, np.ndarray]
    """int64 (N, ...) of every matrix layer and average pool, bias included, by node."""
    outputs: dict[str, np.ndarray]
    """(N, ...) of every node that gives activations, in the dtype of its format, by node."""
    logits: np.ndarray
    """int64 (N, classes, ...): accumulators of the network's first output, or its activations."""
    classes: np.ndarray
    """int64 (N, ...): the position of the largest logit, the first of equal ones."""

    @classmethod
    def record(cls, network: Network, inputs: np.ndarray, labels: np.ndarray | None) -> "Samples":
        """Run the integer network on images (N, C, H, W) and keep everything.

        Without labels the network's own classes stand for them.
        """
        trace = run(network, inputs)
        return cls(
            inputs=network.check_inputs(inputs),
            labels=trace.classes if labels is None else np.asarray(labels),
            accumulators=trace.accumulators,
            outputs=trace.outputs,
            logits=trace.logits,
            classes=trace.classes,
        )

    def __len__(self) -> int:
        return len(self.inputs)

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the arrays under their names in the file, where the logits stand only once."""
        return {
            "samples/inputs": self.inputs,
            "samples/labels": self.labels,
            "samples/classes": self.classes,
            **{f"samples/accumulators/{name}": a for name, a in self.accumulators.items()},
            **{f"samples/outputs/{name}": a for name, a in self.outputs.items()},
        }

    @classmethod
    def from_tensors(cls, network: Network, tensors: dict[str, np.ndarray]) -> "Samples":
        """Undo ``tensors``, with arrays of any integer dtype.

        Raises
        ------
        ArtifactError
            A tensor is missing or one too many, or has another shape or values out of range.

        """
        count = len(tensors["samples/inputs"]) if "samples/inputs" in tensors else 0
        contents = _contents(network, count)
        _check_tensors(contents, tensors)
        arrays = {
            name: tensors[name].astype(content.dtype, copy=False)
            for name, content in contents.items()
        }

        def by_node(kind: str) -> dict[str, np.ndarray]:
            prefix = f"samples/{kind}/"
            return {
                name.removeprefix(prefix): array
                for name, array in arrays.items()
                if name.startswith(prefix)
            }

        accumulators = by_node("accumulators")
        return cls(
            inputs=arrays["samples/inputs"],
            labels=arrays["samples/labels"],
            accumulators=accumulators,
            outputs=by_node("outputs"),
            logits=_logits(network, accumulators, by_node("outputs")),
            classes=arrays["samples/classes"],
        )


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
        if not np.array_equal(samples.logits, logits):
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


def _logits(
    network: Network, accumulators: dict[str, np.ndarray], outputs: dict[str, np.ndarray]
) -> np.ndarray:
    """Choose the network's first output."""
    first = network.outputs[0]
    return outputs[first].astype(np.int64) if first in outputs else accumulators[first]


def _check_tensors(contents: dict[str, _Content], tensors: dict[str, np.ndarray]) -> None:
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
        if array.min() < lo or array.max() > hi:
            raise ArtifactError(
                f"tensor {name} spans {array.min()} to {array.max()}, it must lie within {lo} "
                f"to {hi}"
            )
