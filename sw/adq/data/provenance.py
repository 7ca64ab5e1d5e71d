"""Provenance of the training data: which images were used, and how they were normalized.

It is kept in the checkpoint, the run's metrics and the artifact's manifest, so that a network is
evaluated as it was trained, whatever lies in the data set's folder by then.
"""

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from adq.data.hub import DataError
from adq.data.splits import Split


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """Images that a network was trained and tested with."""

    train_images: int
    test_images: int
    train_digest: str
    """SHA-256 over the training images' shape, pixels and labels, in their order."""
    test_digest: str
    """SHA-256 over the test images, likewise."""
    mean: tuple[float, ...]
    """Mean of each channel of the training images, subtracted from every image. 0 where the
    network reads levels."""
    deviation: tuple[float, ...]
    """Standard deviation, likewise; the largest level where the network reads levels."""
    levels: tuple[int, int]
    """Smallest and largest value of a training image's pixels."""
    classes: int
    """Labels run from 0 to ``classes`` - 1."""
    class_names: tuple[str, ...]
    """Names of the classes, from 0; empty where the data set's files do not tell."""

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_json(cls, values: Any) -> "TrainingData":
        """Read the result of ``to_json``.

        Raises
        ------
        DataError
            It is damaged.

        """
        lists = {"mean": float, "deviation": float, "levels": int, "class_names": str}
        fields = {field.name: field.type for field in dataclasses.fields(cls)}
        if not isinstance(values, dict) or values.keys() != fields.keys():
            raise DataError("what is kept of the training images is damaged")
        for name, value in values.items():
            if name in lists:
                good = isinstance(value, list) and all(type(v) is lists[name] for v in value)
            else:
                good = type(value) is fields[name]
            if not good:
                raise DataError(f"{name} of the training images is damaged")
        if len(values["mean"]) != len(values["deviation"]) or 0.0 in values["deviation"]:
            raise DataError("mean and deviation of the training images are damaged")
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**given)

    def differences(self, other: "TrainingData") -> list[str]:
        """Describe the differences to the images of another data set, one short text each."""
        found = []
        for what in ("training", "test"):
            name = "train" if what == "training" else "test"
            ours, theirs = (getattr(data, f"{name}_images") for data in (self, other))
            if ours != theirs:
                found.append(f"{theirs:,} {what} images instead of {ours:,}")
            elif getattr(self, f"{name}_digest") != getattr(other, f"{name}_digest"):
                found.append(f"other {what} images")
        if self.class_names and other.class_names and self.class_names != other.class_names:
            found.append("other class names")
        return found


def digest(split: Split) -> str:
    """Return the SHA-256 of a split's shape, pixels and labels."""
    hashed = hashlib.sha256(repr(split.pixels.shape).encode())
    hashed.update(np.ascontiguousarray(split.pixels).data)
    hashed.update(split.labels.astype("<i8").data)
    return hashed.hexdigest()
