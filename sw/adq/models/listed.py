"""Floating-point networks built from the lists in ``adq.models.ARCHITECTURES``."""

from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from adq.models.architectures import Entry, ModelError


class ListedNetwork(nn.Sequential):
    """Network of 3x3 convolutions with batch norm and ReLU, residual blocks, pooling and a linear
    layer.

    The children are named ``conv1``, ``norm1``, ``relu1``, ``pool1``, ``block1``, ...,
    ``average``, ``flatten`` and ``linear``. They run in the order of the list.

    Parameters
    ----------
    architecture
        List of ``adq.models.ARCHITECTURES``.
    input_shape
        (C, H, W) of one image.
    classes
        Number of logits.
    channels
        Output channels of layers that differ from the list, by layer name.

    """

    def __init__(
        self,
        architecture: Sequence[Entry],
        input_shape: tuple[int, int, int],
        classes: int,
        channels: Mapping[str, int],
    ):
        super().__init__()
        width, height, columns = input_shape
        counts: Counter[str] = Counter()

        def name(kind: str) -> str:
            counts[kind] += 1
            return f"{kind}{counts[kind]}"

        for entry in architecture:
            match entry:
                case "M":
                    self.add_module(name("pool"), nn.MaxPool2d(2))  # (N, C, H/2, W/2)
                    height, columns = height // 2, columns // 2
                case "A":
                    self.add_module("average", nn.AdaptiveAvgPool2d(1))  # (N, C, 1, 1)
                    height = columns = 1
                case (inner, outer, stride):
                    block_name = name("block")
                    block = ResidualBlock(
                        width,
                        channels.get(f"{block_name}.conv1", inner),
                        channels.get(f"{block_name}.conv2", outer),
                        stride=stride,
                        shortcut=stride > 1,
                    )
                    self.add_module(block_name, block)  # (N, C', H/stride, W/stride)
                    width = block.norm2.num_features
                    height, columns = -(-height // stride), -(-columns // stride)
                case _:
                    conv_name = name("conv")
                    outputs = channels.get(conv_name, entry)
                    self.add_module(conv_name, _convolution(width, outputs))  # (N, C', H, W)
                    self.add_module(name("norm"), nn.BatchNorm2d(outputs))
                    self.add_module(name("relu"), nn.ReLU())
                    width = outputs
        if min(height, columns) < 1:
            raise ModelError(
                f"images of {input_shape[1]}x{input_shape[2]} are too small for "
                f"{counts['pool']} poolings: choose another network"
            )
        self.add_module("flatten", nn.Flatten())  # (N, C*H*W)
        self.add_module("linear", nn.Linear(width * height * columns, classes))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a skip connection around them.

    Source: He et al., "Deep residual learning for image recognition", CVPR 2016, option B.

    Parameters
    ----------
    inputs, inner, outputs
        Channels before, between and after the convolutions.
    stride
        Stride of the first convolution.
    shortcut
        True if the skip connection is a 1x1 convolution. If false, inputs must equal outputs.

    """

    def __init__(self, inputs: int, inner: int, outputs: int, *, stride: int, shortcut: bool):
        super().__init__()
        if not shortcut and inputs != outputs:
            raise ModelError(
                f"a skip connection adds {inputs} channels to {outputs}: they must be equal"
            )
        self.conv1 = _convolution(inputs, inner, stride)
        self.norm1 = nn.BatchNorm2d(inner)
        self.relu1 = nn.ReLU()
        self.conv2 = _convolution(inner, outputs)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if shortcut:
            self.shortcut.add_module("conv", nn.Conv2d(inputs, outputs, 1, stride, bias=False))
            self.shortcut.add_module("norm", nn.BatchNorm2d(outputs))
        self.relu2 = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to (N, C', H/stride, W/stride)."""
        y = self.relu1(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y)) + self.shortcut(x)
        output: torch.Tensor = self.relu2(y)
        return output


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
