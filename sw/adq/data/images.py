"""Images as training sees them: bytes that stay on the device.

A batch is gathered, cropped, flipped and normalized on the device. Which crop and which flip an
image gets is drawn beforehand and apart from it (``Images.draw``), on the CPU and by the caller's
generator: the draws are the same on every device, and for any number of processes that draw for
the whole batch and take each its part.

Notation used for tensor shapes: N images, n images of a batch, C channels, H rows, W columns.
"""

import dataclasses
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from adq.data.hub import DataError
from adq.data.provenance import TrainingData, digest
from adq.data.splits import Split, Splits

if TYPE_CHECKING:
    from adq.data.config import DataConfig

_PART = 1000
"""Images whose values are counted at a time."""


@dataclass(frozen=True, kw_only=True)
class Images:
    """Labelled images of a data set, or of the part that a recipe selects."""

    train_pixels: torch.Tensor
    """uint8 (N, C, H + 2 * crop, W + 2 * crop), with a black margin to crop from"""
    train_labels: torch.Tensor
    """int64 (N,)"""
    test_pixels: torch.Tensor
    """uint8 (N, C, H, W)"""
    test_labels: torch.Tensor
    """int64 (N,)"""
    mean: torch.Tensor
    """float32 (C, 1, 1), of the training images without their margin"""
    deviation: torch.Tensor
    """float32 (C, 1, 1), their standard deviation"""
    data: TrainingData
    """Which images they are, and how they are normalized."""
    classes: int
    """Labels run from 0 to ``classes`` - 1."""
    crop: int
    """Pixels by which a crop moves an image at most, in each direction; 0 for no crop."""
    flip: bool
    """True if every other image, by chance, is mirrored left to right."""

    @classmethod
    def from_splits(
        cls, splits: Splits, *, classes: int, config: "DataConfig", seed: int
    ) -> "Images":
        """Select the part of a data set that a recipe asks for, and measure it."""
        train = splits.train.part(config.train_images, seed=seed, what="[data] train_images")
        test = splits.test.part(config.test_images, seed=seed, what="[data] test_images")
        data = _measure(train, test, classes, splits.class_names)
        margin = (config.crop,) * 4
        return cls(
            train_pixels=functional.pad(torch.from_numpy(train.pixels), margin),
            train_labels=torch.from_numpy(train.labels),
            test_pixels=torch.from_numpy(test.pixels),
            test_labels=torch.from_numpy(test.labels),
            mean=_by_channel(data.mean),
            deviation=_by_channel(data.deviation),
            data=data,
            classes=classes,
            crop=config.crop,
            flip=config.flip,
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        channels, height, width = self.test_pixels.shape[1:]
        return channels, height, width

    @property
    def device(self) -> torch.device:
        """Device of the images."""
        return self.train_pixels.device

    def to(self, device: torch.device | str) -> "Images":
        """Return the same images on another device."""
        tensors = {
            field.name: getattr(self, field.name).to(device)
            for field in dataclasses.fields(self)
            if field.type is torch.Tensor
        }
        return dataclasses.replace(self, **tensors)

    def normalized_as(self, data: TrainingData) -> "Images":
        """Return the same images, normalized as a network was trained.

        Raises
        ------
        DataError
            The images or their classes are of another kind.

        """
        if (len(data.mean), data.classes) != (self.shape[0], self.classes):
            raise DataError(
                f"the network was trained on {len(data.mean)} channels and {data.classes} classes, "
                f"and these images have {self.shape[0]} and {self.classes}"
            )
        own = self.data.class_names
        if data.class_names and own and data.class_names != own:
            pairs = itertools.zip_longest(data.class_names, own, fillvalue="none")
            number, (before, now) = next((n, p) for n, p in enumerate(pairs) if p[0] != p[1])
            raise DataError(
                f"class {number} was {before!r:.40} when the network was trained, and is "
                f"{now!r:.40} in these images: point to the data set of the training"
            )
        return dataclasses.replace(
            self,
            mean=_by_channel(data.mean).to(self.device),
            deviation=_by_channel(data.deviation).to(self.device),
            data=dataclasses.replace(self.data, mean=data.mean, deviation=data.deviation),
        )

    def as_levels(self, largest: int) -> "Images":
        """Return the same images as shares of the largest level: from 0 to 1, black stays 0."""
        channels = self.shape[0]
        data = dataclasses.replace(
            self.data, mean=(0.0,) * channels, deviation=(float(largest),) * channels
        )
        return self.normalized_as(data)

    def draw(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Draw the random choices for ``count`` images: int64 (count, 3), on the CPU.

        Columns: rows and columns of the margin above and left of the crop, and whether it is
        flipped. Draws twice from a CPU generator, whatever ``crop`` and ``flip`` are.
        """
        offsets = torch.randint(2 * self.crop + 1, (count, 2), generator=generator)
        flips = torch.randint(2, (count, 1), generator=generator) * self.flip
        return torch.cat([offsets, flips], dim=1)

    def train_batch(self, indices: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        """Return training images, augmented as drawn and normalized: float32 (n, C, H, W).

        ``indices`` is int64 (n,), ``draws`` (n, 3) what ``draw`` gave for these images; both may
        be on the CPU.
        """
        height, width = self.shape[1:]
        down, right, flip = draws.to(self.device, non_blocking=True).unbind(1)
        # Every crop of every image, as a view: (N, 2 crop + 1, 2 crop + 1, C, H, W)
        crops = self.train_pixels.unfold(2, height, 1).unfold(3, width, 1).permute(0, 2, 3, 1, 4, 5)
        pixels = crops[indices.to(self.device, non_blocking=True), down, right]
        if self.flip:
            pixels = torch.where(flip.bool().reshape(-1, 1, 1, 1), pixels.flip(3), pixels)
        return self._normalized(pixels)

    def test_batch(self, part: slice | torch.Tensor) -> torch.Tensor:
        """Return test images, normalized: float32 (n, C, H, W)."""
        return self._normalized(self.test_pixels[part])

    def _normalized(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.to(torch.float32).sub_(self.mean).div_(self.deviation)


def _by_channel(values: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1)


def _measure(train: Split, test: Split, classes: int, class_names: tuple[str, ...]) -> TrainingData:
    mean, deviation = _moments(train.pixels)
    return TrainingData(
        train_images=len(train.labels),
        test_images=len(test.labels),
        train_digest=digest(train),
        test_digest=digest(test),
        mean=tuple(mean.tolist()),
        deviation=tuple(deviation.tolist()),
        levels=(int(train.pixels.min()), int(train.pixels.max())),
        classes=classes,
        class_names=class_names,
    )


def _moments(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each channel of uint8 (N, C, H, W), as float64 (C,).

    A channel that is constant has no deviation to divide by: 1 stands for it.
    """
    # By how often each of the 256 values occurs, which is exact; part by part, for memory.
    counts = np.zeros((pixels.shape[1], 256), dtype=np.int64)
    for start in range(0, len(pixels), _PART):
        for channel, values in enumerate(pixels[start : start + _PART].swapaxes(0, 1)):
            counts[channel] += np.bincount(values.reshape(-1), minlength=256)
    values = np.arange(256)
    total = counts[0].sum()
    mean = counts @ values / total
    variance = (counts * (values - mean[:, None]) ** 2).sum(1) / total
    return mean, np.where(variance > 0, np.sqrt(variance), 1.0)
