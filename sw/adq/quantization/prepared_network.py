"""A network whose layers have a precision, a density and channels that can change in training."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import torch

from adq.quantization import pruning
from adq.quantization.checking import check_example
from adq.quantization.quantized_network import QuantizedNetwork
from adq.quantization.reading.tracing import PrepareError
from adq.quantization.steps.layers import LayerStage
from adq.quantization.steps.step import Passive

__all__ = ["Prepared", "Reduce", "check_bits", "check_integers"]

Reduce = Callable[[torch.Tensor], torch.Tensor]
"""Sums a tensor over processes."""


class Prepared:
    """A network whose layers have a precision, a density and channels that can change.

    Attributes
    ----------
    model
        The module to train: images (N, C, H, W) to logits. Its ``state_dict`` holds weights,
        ranges and bits.

    """

    def __init__(self, model: QuantizedNetwork, example: torch.Tensor):
        self.model = model
        self._example = example[:1].detach().clone()

    def __str__(self) -> str:
        """Return a table of the layers: bits, output channels and multiply-accumulates."""
        rows = [("layer", "bits", "channels", "MACs")]
        rows += [
            (name, str(self.bits[name]), str(self.channels[name]), f"{macs:,}")
            for name, macs in self.macs.items()
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(
                cell.rjust(width) if place else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        )

    @property
    def example(self) -> torch.Tensor:
        """One image (1, C, H, W), as the network takes it."""
        return self._example

    @property
    def layers(self) -> tuple[str, ...]:
        """Convolutions and linear layers by their names in the network, in order."""
        return tuple(self.model.layers)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(C, H, W) of an image, or (F,) of a vector, as the integer network takes it."""
        return self.model.input_stage.shape

    @property
    def bits(self) -> dict[str, int]:
        """Precision of each layer's weights and input."""
        return {name: layer.bits for name, layer in self.model.layers.items()}

    @property
    def channels(self) -> dict[str, int]:
        """Output channels of each layer."""
        return {name: layer.channels for name, layer in self.model.layers.items()}

    @property
    def macs(self) -> dict[str, int]:
        """Multiply-accumulates of each layer for an image, padding included."""
        return {name: layer.macs for name, layer in self.model.layers.items()}

    @property
    def followers(self) -> dict[str, str]:
        """The layer whose precision another takes: the one that a skip connection joins.

        These are the convolutions on skip connections, which have no ReLU of their own.
        """
        return {
            name: joined.name
            for name, layer in self.model.layers.items()
            if not layer.relu and (joined := self._joined(name)) is not None
        }

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Layers that share their output channels, where those can be pruned."""
        return pruning.groups(self.model, self._example)

    def set_bits(self, bits: Mapping[str, int], *, keep_ranges: bool = False) -> None:
        """Give layers another precision, 2 to 16.

        Tensors whose precision changes find a new range in the next training batch; with
        ``keep_ranges`` they keep the one that they have, for a network that is not trained again.
        """
        self._check_names(bits)
        check_integers(bits)
        check_bits(bits)
        self.model.set_bits(bits, keep_ranges=keep_ranges)

    def prune(
        self, channels: Mapping[str, int], optimizer: torch.optim.Optimizer | None = None
    ) -> None:
        """Take output channels out of layers, and of all that depends on them.

        The channels that matter least leave (``adq.quantization.pruning``). Parameters stay the
        objects that they are and shrink, and so does what an optimizer keeps for them.

        Parameters
        ----------
        channels
            Channels that layers keep. Layers that share channels, as those that meet in a
            residual addition do, keep as many as the first of them named here.
        optimizer
            Whose state follows. Without it, make a new one: the old one's state no longer fits.

        Raises
        ------
        PrepareError
            A layer would get no channels or more than it has, its channels are fixed, as those
            of the logits are, the optimizer keeps a state that cannot follow, or the network that
            is left computes something else than what is trained.

        """
        self._check_names(channels)
        check_integers(channels)
        pruning.prune(self.model, self._example, channels, optimizer)
        with contextlib.ExitStack() as kept:
            # The check sees the example alone: ranges stay those of the training batches.
            for quantizer in self.model.activation_quantizers.values():
                kept.enter_context(quantizer.range_kept())
            check_example(self.model, self._example)

    @torch.no_grad()
    def take_average(self, average: torch.nn.Module) -> None:
        """Take over the parameters and buffers of an average over training steps.

        The average is a copy of ``model`` at the same bits and channels, such as
        ``torch.optim.swa_utils.AveragedModel(prepared.model)`` makes: make it anew whenever bits or
        channels have changed. Bits stay, and it stays known which ranges were found.

        Raises
        ------
        PrepareError
            It is an average of another network, or of this one at other bits or channels.

        """
        network = getattr(average, "module", average)
        if not isinstance(network, QuantizedNetwork):
            raise PrepareError(
                f"the average is of a {type(network).__name__}: give one of prepared.model"
            )
        own = {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}
        other = {**dict(network.named_parameters()), **dict(network.named_buffers())}
        bits = {name: layer.bits for name, layer in network.layers.items()}
        shapes = [{name: each.shape for name, each in part.items()} for part in (own, other)]
        if bits != self.bits or shapes[0] != shapes[1]:
            raise PrepareError(
                "the average has other layers, bits or channels than the network: make it anew "
                "from prepared.model after every change of bits or channels"
            )
        for name, each in own.items():
            each.copy_(other[name])

    def densities(self, reduce: Reduce | None = None) -> dict[str, float]:
        """Share of non-zero activations of each layer that has a ReLU, since the last call.

        Counts are exact over all images of all training batches; with several processes,
        ``reduce`` sums them. Counting starts anew.
        """
        counts = self.density_counts(reduce)
        for layer in self.model.layers.values():
            layer.nonzero, layer.elements = 0, 0
        return {
            name: nonzero / elements for name, (nonzero, elements) in counts.items() if elements
        }

    def density_counts(self, reduce: Reduce | None = None) -> dict[str, tuple[int, int]]:
        """Return non-zero activations and all activations of each layer with a ReLU, so far."""
        counted = {name: layer for name, layer in self.model.layers.items() if layer.relu}
        device = next(self.model.parameters()).device
        counts = torch.tensor(
            [[0, layer.elements] for layer in counted.values()], dtype=torch.int64, device=device
        ).reshape(-1, 2)
        for count, layer in zip(counts, counted.values(), strict=True):
            count[0] = layer.nonzero
        if reduce is not None:
            counts = reduce(counts)
        return dict(zip(counted, map(tuple, counts.tolist()), strict=True))

    def restore_density_counts(self, counts: Mapping[str, tuple[int, int]]) -> None:
        """Go on counting from what ``density_counts`` gave."""
        for name, (nonzero, elements) in counts.items():
            self.model.layers[name].nonzero = nonzero
            self.model.layers[name].elements = elements

    @torch.no_grad()
    def input_integers(self, images: torch.Tensor) -> torch.Tensor:
        """Return the integers of images (N, C, H, W), as the network's first layer reads them:
        int16.

        Raises
        ------
        PrepareError
            The images have another shape, or hold something that is no finite number.

        """
        shape = tuple(self._example.shape[1:])
        if not isinstance(images, torch.Tensor) or tuple(images.shape[1:]) != shape:
            found = tuple(images.shape) if hasattr(images, "shape") else type(images).__name__
            sides = ", ".join(map(str, shape))
            raise PrepareError(f"images: they are {found}, and must be a tensor (N, {sides})")
        if not images.isfinite().all():
            raise PrepareError(
                "images: they hold values that are no finite numbers: check how they are made"
            )
        training = self.model.training
        self.model.eval()
        integers = self.model.input_stage.quantize(images).integers.to(torch.int16)
        self.model.train(training)
        return integers

    def _joined(self, name: str) -> LayerStage | None:
        """Return the layer that a tensor is the skip connection of, if it is nothing else."""
        readers = self.model.readers[name]
        if len(readers) != 1:
            return None
        ((step, reading),) = readers
        if isinstance(step, Passive):
            return self._joined(step.name)
        return step if isinstance(step, LayerStage) and reading is step.skip else None

    def _check_names(self, named: Mapping[str, Any]) -> None:
        for name in named:
            if name not in self.model.layers:
                raise PrepareError(
                    f"{name} is no layer of the network: it has {', '.join(self.layers)}"
                )


def check_integers(values: Mapping[str, Any]) -> None:
    """Refuse a value that is no integer."""
    for name, each in values.items():
        if type(each) is not int:
            raise PrepareError(f"{name}: {each!r} is no integer")


def check_bits(bits: Mapping[str, int]) -> None:
    """Refuse a precision that the hardware does not have."""
    for name, each in bits.items():
        if not 2 <= each <= 16:
            raise PrepareError(f"{name}: a precision of {each} bits: it must be 2 to 16")
