"""Networks that people bring: those of MLPerf Tiny, and the usual ones, as they are written.

None of them uses anything of this package. Widths are those of the papers where that is quick, and
smaller where a test would take minutes; every kind of layer is there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional


def conv_norm(
    inputs: int, outputs: int, kernel=3, stride=1, groups: int = 1, activation=nn.ReLU
) -> nn.Sequential:
    """Return a convolution, its batch norm and an activation function."""
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    layers = [
        nn.Conv2d(
            inputs, outputs, kernel, stride, tuple(side // 2 for side in sides), groups=groups,
            bias=False,
        ),
        nn.BatchNorm2d(outputs),
    ]  # fmt: skip
    if activation is not None:
        layers.append(activation())
    return nn.Sequential(*layers)


class BasicBlock(nn.Module):
    """A residual block, with a shortcut that is padded (A) or projected (B)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, option: str = "B"):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.more = outputs - inputs
        self.shortcut = None
        if option == "B" and (stride != 1 or inputs != outputs):
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.shortcut is not None:
            identity = self.shortcut(x)
        elif self.more:
            half = self.more // 2
            identity = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, self.more - half))
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    """ResNet of three stages for small images (He et al. 2016)."""

    def __init__(self, blocks: int, option: str = "B", width: int = 16, classes: int = 10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        stages, inputs = [], width
        for stage in range(3):
            outputs = width << stage
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                stages.append(BasicBlock(inputs, outputs, stride, option))
                inputs = outputs
        self.layers = nn.Sequential(*stages)
        self.linear = nn.Linear(inputs, classes)

    def forward(self, x):
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.layers(out)
        out = functional.avg_pool2d(out, out.size()[3])
        return self.linear(out.view(out.size(0), -1))


class ResNet18(nn.Module):
    """ResNet18 as for ImageNet: a stem of stride 2, an overlapping maximum pooling."""

    def __init__(self, width: int = 64, classes: int = 1000):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        stages, inputs = [], width
        for stage in range(4):
            outputs = width << stage
            stages += [BasicBlock(inputs, outputs, 2 if stage else 1), BasicBlock(outputs, outputs)]
            inputs = outputs
        self.layers = nn.Sequential(*stages)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.avgpool(self.layers(x))
        return self.fc(torch.flatten(x, 1))


class MobileNetV1(nn.Module):
    """MobileNetV1 at a quarter of its width, as in MLPerf Tiny's visual wake words."""

    def __init__(self, classes: int = 2):
        super().__init__()
        layers = [conv_norm(3, 8, stride=2)]
        widths = (16, 32, 32, 64, 64, 128, 128, 128, 128, 128, 128, 256, 256)
        inputs = 8
        for outputs, stride in zip(widths, (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1), strict=True):
            layers.append(conv_norm(inputs, inputs, stride=stride, groups=inputs))
            layers.append(conv_norm(inputs, outputs, 1))
            inputs = outputs
        self.features = nn.Sequential(*layers)
        self.pool = nn.AvgPool2d(3)
        self.classifier = nn.Linear(inputs, classes)

    def forward(self, x):
        return self.classifier(self.pool(self.features(x)).flatten(1))


class DepthwiseSeparable(nn.Module):
    """DS-CNN of keyword spotting, on spectrograms of 49x10."""

    def __init__(self, width: int = 64, classes: int = 12):
        super().__init__()
        self.pad = nn.ZeroPad2d((1, 1, 4, 5))
        self.stem = nn.Conv2d(1, width, (10, 4), (2, 2), bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.drop1 = nn.Dropout(0.2)
        self.blocks = nn.Sequential(
            *(
                layer
                for _ in range(4)
                for layer in (conv_norm(width, width, groups=width), conv_norm(width, width, 1))
            )
        )
        self.drop2 = nn.Dropout(0.4)
        self.pool = nn.AvgPool2d((25, 5))
        self.fc = nn.Linear(width, classes)

    def forward(self, x):
        x = self.drop1(functional.relu(self.norm(self.stem(self.pad(x)))))
        x = self.pool(self.drop2(self.blocks(x)))
        return self.fc(x.view(x.shape[0], -1))


class Autoencoder(nn.Module):
    """The autoencoder of anomaly detection: vectors of 640, and as many out."""

    def __init__(self, inputs: int = 640, width: int = 128):
        super().__init__()
        sizes = [inputs, width, width, width, width, 8, width, width, width, width]
        layers = []
        for one, other in pairwise(sizes):
            layers += [nn.Linear(one, other), nn.BatchNorm1d(other), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(width, inputs))

    def forward(self, x):
        return self.layers(x)


class LeNet5(nn.Module):
    """LeNet-5 with its own activation function."""

    def __init__(self, activation=torch.tanh):
        super().__init__()
        self.activation = activation
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = functional.avg_pool2d(self.activation(self.conv1(x)), 2)
        x = functional.avg_pool2d(self.activation(self.conv2(x)), 2)
        x = self.activation(self.fc1(torch.flatten(x, 1)))
        return self.fc3(self.activation(self.fc2(x)))


class InvertedResidual(nn.Module):
    """An inverted residual block: expansion, depthwise convolution, projection."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int, activation=nn.ReLU6):
        super().__init__()
        inner = inputs * expansion
        self.use_res_connect = stride == 1 and inputs == outputs
        layers = [] if expansion == 1 else [conv_norm(inputs, inner, 1, activation=activation)]
        self.conv = nn.Sequential(
            *layers,
            conv_norm(inner, inner, 3, stride, inner, activation),
            conv_norm(inner, outputs, 1, activation=None),
        )

    def forward(self, x):
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    """MobileNetV2: ReLU6 and inverted residual blocks."""

    def __init__(self, classes: int = 10):
        super().__init__()
        settings = ((1, 8, 1, 1), (6, 12, 2, 2), (6, 16, 2, 2), (6, 24, 2, 2))
        layers, inputs = [conv_norm(3, 16, stride=2, activation=nn.ReLU6)], 16
        for expansion, outputs, count, stride in settings:
            for place in range(count):
                block = InvertedResidual(inputs, outputs, stride if not place else 1, expansion)
                layers.append(block)
                inputs = outputs
        layers.append(conv_norm(inputs, 64, 1, activation=nn.ReLU6))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(64, classes))

    def forward(self, x):
        x = functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(torch.flatten(x, 1))


class SqueezeExcitation(nn.Module):
    """A factor a channel, from the channels' averages."""

    def __init__(self, channels: int):
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, channels // 4, 1)
        self.relu = nn.ReLU()
        self.fc2 = nn.Conv2d(channels // 4, channels, 1)
        self.scale = nn.Hardsigmoid()

    def forward(self, x):
        return self.scale(self.fc2(self.relu(self.fc1(self.avgpool(x))))) * x


class MobileNetV3(nn.Module):
    """Blocks as in MobileNetV3: hardswish, and squeeze and excitation."""

    def __init__(self, classes: int = 10):
        super().__init__()
        self.stem = conv_norm(3, 16, stride=2, activation=nn.Hardswish)
        self.depthwise = conv_norm(16, 16, groups=16)
        self.squeeze = SqueezeExcitation(16)
        self.project = conv_norm(16, 16, 1, activation=None)
        self.block = InvertedResidual(16, 24, 2, 4, nn.Hardswish)
        self.same = InvertedResidual(24, 24, 1, 4, nn.Hardswish)
        self.last = conv_norm(24, 64, 1, activation=nn.Hardswish)
        self.classifier = nn.Sequential(
            nn.Linear(64, 32), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(32, classes)
        )

    def forward(self, x):
        x = self.stem(x)
        x = x + self.project(self.squeeze(self.depthwise(x)))
        x = self.last(self.same(self.block(x)))
        return self.classifier(x.mean([2, 3]))


class Fire(nn.Module):
    """A squeezing convolution, and two of which the outputs are concatenated."""

    def __init__(self, inputs: int, inner: int, outputs: int):
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, inner, 1)
        self.expand1x1 = nn.Conv2d(inner, outputs, 1)
        self.expand3x3 = nn.Conv2d(inner, outputs, 3, padding=1)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.activation(self.squeeze(x))
        parts = [self.activation(self.expand1x1(x)), self.activation(self.expand3x3(x))]
        return torch.cat(parts, 1)


class SqueezeNet(nn.Module):
    """SqueezeNet: concatenations, ceil_mode, and a convolution that gives the classes."""

    def __init__(self, classes: int = 10):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2), nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, ceil_mode=True), Fire(16, 4, 16), Fire(32, 4, 16),
            nn.MaxPool2d(3, 2, ceil_mode=True), Fire(32, 8, 24),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Dropout(0.5), nn.Conv2d(48, classes, 1), nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d((1, 1)),
        )  # fmt: skip

    def forward(self, x):
        return torch.flatten(self.classifier(self.features(x)), 1)


class UNet(nn.Module):
    """A U-Net: nearest upsampling, concatenated skip connections, a class a pixel."""

    def __init__(self, classes: int = 3, width: int = 8):
        super().__init__()

        def twice(inputs, outputs):
            return nn.Sequential(conv_norm(inputs, outputs), conv_norm(outputs, outputs))

        self.down1, self.down2 = twice(3, width), twice(width, 2 * width)
        self.bottom = twice(2 * width, 4 * width)
        self.up2, self.up1 = twice(6 * width, 2 * width), twice(3 * width, width)
        self.pool = nn.MaxPool2d(2)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.out = nn.Conv2d(width, classes, 1)

    def forward(self, x):
        one = self.down1(x)
        two = self.down2(self.pool(one))
        x = self.bottom(self.pool(two))
        x = self.up2(torch.cat([two, self.upsample(x)], dim=1))
        x = self.up1(torch.cat([one, functional.interpolate(x, scale_factor=2)], dim=1))
        return self.out(x)


class Sound(nn.Module):
    """One-dimensional convolutions over a length, one of them dilated."""

    def __init__(self, classes: int = 5):
        super().__init__()
        self.conv1 = nn.Conv1d(2, 8, 9, stride=4, padding=4)
        self.bn1 = nn.BatchNorm1d(8)
        self.conv2 = nn.Conv1d(8, 16, 3, padding=2, dilation=2, bias=False)
        self.bn2 = nn.BatchNorm1d(16)
        self.pool = nn.MaxPool1d(2)
        self.conv3 = nn.Conv1d(16, 16, 3, padding="same", groups=16)
        self.average = nn.AdaptiveAvgPool1d(1)
        self.fc = nn.Linear(16, classes)

    def forward(self, x):
        x = self.pool(functional.relu(self.bn1(self.conv1(x))))
        x = functional.relu(self.bn2(self.conv2(x)))
        x = functional.relu(self.conv3(x))
        return self.fc(self.average(x).squeeze(-1))


class TwoHeads(nn.Module):
    """One trunk, a linear head and a convolution for every position, in a dictionary."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(conv_norm(3, 8, stride=2), conv_norm(8, 16, stride=2))
        self.box = nn.Conv2d(16, 4, 1)
        self.label = nn.Linear(16, 6)

    def forward(self, x):
        x = self.trunk(x)
        return {"label": self.label(x.mean((2, 3))), "box": self.box(x)}


class Shuffled(nn.Module):
    """Blocks as in ShuffleNetV2: split, concatenation and channel shuffle."""

    def __init__(self, width: int = 16, classes: int = 10):
        super().__init__()
        half = width // 2
        self.stem = conv_norm(3, width, stride=2)
        self.branch = nn.Sequential(
            conv_norm(half, half, 1),
            conv_norm(half, half, groups=half, activation=None),
            conv_norm(half, half, 1),
        )
        self.last = conv_norm(width, 32, 1)
        self.fc = nn.Linear(32, classes)

    def forward(self, x):
        x = self.stem(x)
        one, other = x.chunk(2, dim=1)
        x = torch.cat((one, self.branch(other)), dim=1)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)
        return self.fc(self.last(x).mean([2, 3]))


class Dense(nn.Module):
    """Blocks as in DenseNet: batch norm and ReLU before each convolution, concatenation."""

    def __init__(self, classes: int = 10, growth: int = 8):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(16 + growth * i) for i in range(4))
        self.convs = nn.ModuleList(
            nn.Conv2d(16 + growth * i, growth, 3, padding=1, bias=False) for i in range(3)
        )
        self.fc = nn.Linear(16 + 3 * growth, classes)

    def forward(self, x):
        x = self.stem(x)
        for norm, conv in zip(self.norms, self.convs, strict=False):
            x = torch.cat([x, conv(functional.relu(norm(x)))], 1)
        x = functional.relu(self.norms[3](x))
        return self.fc(functional.adaptive_avg_pool2d(x, 1).flatten(1))


class ConvOnly(nn.Module):
    """Convolutions with SiLU and LeakyReLU, and a convolution at the end."""

    def __init__(self, classes: int = 4):
        super().__init__()
        self.conv1 = conv_norm(3, 8, 5, 2, activation=nn.SiLU)
        self.conv2 = conv_norm(8, 8, activation=lambda: nn.LeakyReLU(0.1))
        self.conv3 = nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect")
        self.conv4 = nn.Conv2d(8, classes, 3, padding=1)

    def forward(self, x):
        x = functional.gelu(self.conv3(self.conv2(self.conv1(x))))
        return self.conv4(x)


@dataclass(frozen=True)
class Named:
    """A network and what it takes."""

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]


NETWORKS: dict[str, Named] = {
    "resnet8": Named(lambda: ResNet(1), (3, 32, 32)),
    "mobilenetv1": Named(MobileNetV1, (3, 96, 96)),
    "ds-cnn": Named(DepthwiseSeparable, (1, 49, 10)),
    "autoencoder": Named(Autoencoder, (640,)),
    "lenet5": Named(LeNet5, (1, 28, 28)),
    "resnet20-a": Named(lambda: ResNet(3, "A"), (3, 32, 32)),
    "resnet20-b": Named(lambda: ResNet(3, "B"), (3, 32, 32)),
    "resnet56-a": Named(lambda: ResNet(9, "A"), (3, 32, 32)),
    "mobilenetv2": Named(MobileNetV2, (3, 32, 32)),
    "mobilenetv3": Named(MobileNetV3, (3, 32, 32)),
    "squeezenet": Named(SqueezeNet, (3, 64, 64)),
    "unet": Named(UNet, (3, 32, 32)),
    "conv1d": Named(Sound, (2, 256)),
    "two heads": Named(TwoHeads, (3, 32, 32)),
    "shufflenet": Named(Shuffled, (3, 32, 32)),
    "densenet": Named(Dense, (3, 16, 16)),
    "convolution last": Named(ConvOnly, (3, 32, 32)),
    "resnet18": Named(ResNet18, (3, 224, 224)),
}
