"""Networks as users write them, none of which the package ships."""

import torch
from torch import nn
from torch.nn import functional


class Bottleneck(nn.Module):
    """A residual block of three convolutions, the shortcut written after the main branch."""

    def __init__(self, inputs: int, inner: int, outputs: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class Residual(nn.Module):
    """Bottlenecks with a stem, an overlapping maximum pooling, and global average pooling."""

    def __init__(self, channels: int = 3, classes: int = 10, width: int = 2):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, 4 * width, 3, padding=1, bias=False),
            nn.BatchNorm2d(4 * width),
            nn.ReLU(),
        )
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.block1 = Bottleneck(4 * width, 3 * width, 6 * width)
        self.block2 = Bottleneck(6 * width, 3 * width, 6 * width)
        self.block3 = Bottleneck(6 * width, 4 * width, 8 * width, stride=2)
        self.average = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8 * width, classes)

    def forward(self, x):
        x = self.pool(self.stem(x))
        x = self.block3(self.block2(self.block1(x)))
        return self.fc(torch.flatten(self.average(x), 1))


class Functional(nn.Module):
    """Functions instead of modules, no batch norm in places, groups, hidden linear layers."""

    def __init__(self, channels: int = 3, classes: int = 10):
        super().__init__()
        self.first = nn.Conv2d(channels, 8, 5, padding=2, stride=(1, 2))
        self.grouped = nn.Conv2d(8, 12, 3, padding=1, groups=2)
        self.norm = nn.BatchNorm2d(12)
        self.plain = nn.Conv2d(12, 12, 1)
        self.hidden = nn.Linear(12, 20)
        self.hidden_norm = nn.BatchNorm1d(20)
        self.dropout = nn.Dropout(0.1)
        self.last = nn.Linear(20, classes, bias=False)

    def forward(self, x):
        x = functional.relu(self.first(x))
        x = functional.avg_pool2d(x, 2)
        x = functional.max_pool2d(torch.relu(self.norm(self.grouped(x))), (2, 1))
        y = self.plain(x).relu()
        x = (x + y).mean(dim=[-2, -1])  # an addition that no layer ends in
        x = self.hidden_norm(self.hidden(x.view(x.size(0), -1)))
        return self.last(self.dropout(functional.relu(x)))


class Pooled(nn.Module):
    """A tensor that an average, a maximum pooling and a layer read, and additions behind both."""

    def __init__(self, channels: int = 3, classes: int = 10):
        super().__init__()
        self.first = nn.Conv2d(channels, 6, 3, padding=1)
        self.second = nn.Conv2d(6, 6, 3, padding=1, stride=2)
        self.last = nn.Linear(24, classes)

    def forward(self, x):
        x = functional.relu(self.first(x))
        y = functional.relu(self.second(x))
        y = functional.relu(functional.avg_pool2d(x, 2) + y)
        y = y + functional.max_pool2d(x, 2)
        return self.last(functional.max_pool2d(y, 2).flatten(1))


def pruned_half(groups, channels) -> dict[str, int]:
    """Half of the channels of every group of layers."""
    return {group[0]: channels[group[0]] // 2 for group in groups}
