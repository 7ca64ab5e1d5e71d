"""VGG networks: 3x3 convolutions with batch norm and ReLU, maximum pooling, one linear layer."""

from collections.abc import Sequence

from torch import nn

from adq.layers import QuantizedBatchNorm2d, QuantizedConv2d, QuantizedLinear


class Vgg(nn.Sequential):
    """A VGG network with quantized layers, built from a list.

    Its children are named ``conv1``, ``norm1``, ``relu1``, ``pool1``, ..., ``flatten``,
    ``linear``, and run in this order.

    Parameters
    ----------
    architecture
        Output channels of each convolution, and ``"M"`` for a 2x2 maximum pooling.
    input_shape
        (C, H, W) of one image.
    classes
        Number of logits.
    bits
        Precision of every layer at the start.
    activation_range
        How activation quantizers find their range, see ``adq.quantizers``.

    """

    def __init__(
        self,
        architecture: Sequence[int | str],
        *,
        input_shape: tuple[int, int, int],
        classes: int,
        bits: int,
        activation_range: str,
    ):
        super().__init__()
        quantization = {"bits": bits, "activation_range": activation_range}
        channels, height, width = input_shape
        convolutions = poolings = 0
        for entry in architecture:
            if entry == "M":
                poolings += 1
                height, width = height // 2, width // 2
                self.add_module(f"pool{poolings}", nn.MaxPool2d(2))  # (N, C, H/2, W/2)
                continue
            convolutions += 1
            convolution = QuantizedConv2d(
                channels,
                entry,
                kernel_size=3,
                padding=1,
                signed_input=convolutions == 1,
                **quantization,
            )
            channels = entry
            self.add_module(f"conv{convolutions}", convolution)  # (N, C', H, W)
            self.add_module(f"norm{convolutions}", QuantizedBatchNorm2d(convolution))
            self.add_module(f"relu{convolutions}", nn.ReLU())
        self.add_module("flatten", nn.Flatten())  # (N, C*H*W)
        self.add_module(
            "linear", QuantizedLinear(channels * height * width, classes, **quantization)
        )
