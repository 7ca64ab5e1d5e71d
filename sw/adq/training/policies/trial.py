"""A copy of a prepared network, to try precisions on without a trace in the network itself."""

import copy

import torch

from adq.quantization.prepared_network import Prepared

__all__ = ["Trial"]


class Trial(Prepared):
    """Copy of a prepared network, in evaluation mode.

    Parameters
    ----------
    prepared
        Network to copy. It is left as it is.

    """

    def __init__(self, prepared: Prepared):
        super().__init__(copy.deepcopy(prepared.model), prepared.example)
        self.model.eval()
        self._bits = self.bits
        self._state = copy.deepcopy(self.model.quantizers.state_dict())

    @torch.no_grad()
    def find_ranges(self, images: torch.Tensor) -> None:
        """Find the ranges of tensors whose precision has changed, from images (N, C, H, W)."""
        quantizers = self.model.activation_quantizers.values()
        unknown = [each for each in quantizers if not each.range_is_known]
        for quantizer in unknown:
            quantizer.train()
        self.model(images)
        for quantizer in unknown:
            quantizer.eval()

    def restore(self) -> None:
        """Return to the bits and ranges of the network that was copied."""
        self.set_bits(self._bits)
        self.model.quantizers.load_state_dict(self._state)
