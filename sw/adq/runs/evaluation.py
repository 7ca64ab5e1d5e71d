"""Classes of images by a network in floating point."""

import torch
from torch import nn

from adq.data.images import Images

BATCH = 1024
"""Images of one forward pass."""


@torch.no_grad()
def classify(model: nn.Module, images: Images, part: slice = slice(None)) -> torch.Tensor:
    """Classes of the test images, or of a part of them, by a model: int64 (N,)."""
    training = model.training
    model.eval()
    indices = torch.arange(len(images.test_labels), device=images.device)[part]
    classes = [model(images.test_batch(batch)).argmax(1) for batch in torch.split(indices, BATCH)]
    model.train(training)
    return torch.cat(classes)
