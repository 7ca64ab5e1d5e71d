"""What every data set looks like to training: tensors that stay on the device."""

import dataclasses
from dataclasses import dataclass

import torch


@dataclass(frozen=True, kw_only=True)
class Images:
    """Labelled images, normalized to mean 0 and variance 1 of the training images.

    Notation used for tensor shapes: N images, C channels, H rows, W columns.
    """

    train_images: torch.Tensor
    """float32 (N, C, H, W)"""
    train_labels: torch.Tensor
    """int64 (N,)"""
    test_images: torch.Tensor
    """float32 (N, C, H, W)"""
    test_labels: torch.Tensor
    """int64 (N,)"""
    classes: int
    """Labels run from 0 to ``classes`` - 1."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        return tuple(self.train_images.shape[1:])

    def to(self, device: torch.device | str) -> "Images":
        """Return the same images on another device."""
        tensors = {
            field.name: getattr(self, field.name).to(device)
            for field in dataclasses.fields(self)
            if field.type is torch.Tensor
        }
        return dataclasses.replace(self, **tensors)
