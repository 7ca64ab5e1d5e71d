"""The shipped networks, against figures that are known elsewhere."""

import pytest
import torch

import adq
from adq.models import ARCHITECTURES, build
from adq.models.listed import ModelError

SHAPES = {"digits": (1, 8, 8)}
MACS = {
    "digits": 231_680,
    "resnet8": 12_501_632,  # 12.5 M in MLPerf Tiny, whose network it is
    "vgg19": 398_136_320,  # of the paper's 110.15 uJ at 16 bits
    "resnet18": 555_422_720,  # 555.47 M with 100 classes
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_network_can_be_built_prepared_and_pruned(name):
    shape = SHAPES.get(name, (3, 32, 32))
    torch.manual_seed(0)
    prepared = adq.prepare(build(name, shape, 10), torch.zeros(1, *shape))
    if name in MACS:
        assert sum(prepared.macs.values()) == MACS[name]
    groups = prepared.groups
    prepared.prune({group[0]: prepared.channels[group[0]] - 3 for group in groups})
    assert prepared.model.eval()(torch.zeros(2, *shape)).shape == (2, 10)
    # What is left is the same list with shorter numbers.
    again = build(name, shape, 10, channels=prepared.channels)
    assert {n: p.shape for n, p in again.named_parameters()} == {
        n: p.shape for n, p in prepared.model.network.named_parameters()
    }


def test_residual_branches_share_channels():
    prepared = adq.prepare(build("resnet20", (3, 32, 32), 10), torch.zeros(1, 3, 32, 32))
    assert ("conv1", "block1.conv2", "block2.conv2", "block3.conv2") in prepared.groups
    assert prepared.followers == {
        f"block{block}.shortcut.conv": f"block{block}.conv2" for block in (4, 7)
    }


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: build("vgg13", (3, 32, 32), 10), "vgg13 is no architecture: choose one of digits"),
        (lambda: build("vgg19", (3, 16, 16), 10), "images of 16x16 are too small for 5 poolings"),
        (
            lambda: build("resnet20", (3, 32, 32), 10, channels={"conv1": 12}),
            "a skip connection adds 12 channels to 16: they must be equal",
        ),
    ],
)
def test_what_cannot_be_built(call, message):
    with pytest.raises(ModelError) as caught:
        call()
    assert str(caught.value).startswith(message)
