"""``adq.prepare`` trains the network that it was given, or says what it cannot train.

Expected outputs are those of the modules' own ``forward``.
"""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm

import adq
from adq.export import export_network
from adq.quantization.integers import ExportError, integer_network
from adq.quantization.reading import windows
from adq.quantization.reading.operations import AveragePool
from tests.quantization.user_networks import Residual


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def images():
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(7))


class Written(nn.Module):
    """Two convolutions and a linear layer, around what a test writes."""

    def __init__(self, between, channels: int = 4):
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(channels, 5)
        self.between = between

    def forward(self, x):
        y = self.between(self, self.conv(x))
        return self.fc(functional.relu(y).mean((2, 3)))


def in_place_module(network, y):
    network.relu(y)
    return network.second(y)


def in_place_method(network, y):
    y.relu_()
    return network.second(y)


def in_place_sum(network, y):
    z = network.second(y)
    z.add_(y)
    return z


def rectified_skip(network, y):
    z = network.second(network.relu(y))
    return z + y  # which the ReLU has changed


def another_name(network, y):
    z = network.second(y)
    w = z
    w += y
    return z


def view_of_it(network, y):
    z = network.second(y)
    z[:, :2].relu_()  # changes z as well
    return z


def reordered(network, y):
    return network.second(y[:, [2, 1, 0, 3]])


def shuffled(network, y):
    n, c, h, w = y.shape
    return network.second(y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w))


def halves(network, y):
    one, other = y.chunk(2, 1)
    return network.second(torch.cat([other, one], 1))


def divisor_by_position(network, y):
    return network.second(functional.avg_pool2d(y, 2, 2, 0, False, True, 3))


def padded_average(network, y):
    return network.second(functional.avg_pool2d(y, 3, 2, 1))


def grown_pool(network, y):
    return network.second(functional.max_pool2d(y, 3, 2, ceil_mode=True))


def padded_unevenly(network, y):
    return network.second(functional.pad(y, (0, 1, 2, 0)))


def cropped(network, y):
    return network.second(y[:, :, 1:-1, ::2])


def upsampled(network, y):
    return network.second(functional.interpolate(y, scale_factor=2))


def flipped(network, y):
    return network.second(y.flip(3))


def clipped(network, y):
    return network.second(y.clamp(0, 0.3))


def gated(network, y):
    return network.second(y * torch.sigmoid(y.mean((2, 3), keepdim=True)))


FORWARDS = [
    in_place_module, in_place_method, in_place_sum, rectified_skip, another_name, reordered,
    shuffled, halves, divisor_by_position, padded_average, grown_pool, padded_unevenly, cropped,
    upsampled, flipped, clipped, gated,
]  # fmt: skip


@pytest.mark.parametrize("between", FORWARDS)
def test_it_computes_what_forward_computes_however_that_is_written(between, images):
    torch.manual_seed(1)
    network = Written(between)
    prepared = adq.prepare(network, images[:1])
    for _ in range(3):
        prepared.model.train()(images)
    prepared.model.eval()
    with torch.no_grad():
        expected = network.eval()(images)
        found = prepared.model(images)
    spread = expected.std(0).amax().item()
    assert (found - expected).abs().max() < 5e-3 * max(spread, 1e-3 * expected.abs().max().item())


def test_what_writes_into_a_part_of_a_tensor_is_named(images):
    with pytest.raises(adq.PrepareError, match="slice_scatter has no integer form"):
        adq.prepare(Written(view_of_it), images[:1])


def plain(network, y):
    return network.second(y)


def hooked(network):
    network.conv.register_forward_hook(lambda module, inputs, output: 2 * output)


def pruned(network):
    prune.l1_unstructured(network.second, "weight", 0.5)


def tied(network):
    network.third = nn.Conv2d(4, 4, 3)
    network.third.weight = network.second.weight


def not_a_number(network):
    network.second.weight.data[0, 0, 0, 0] = torch.nan


def doubled(network):
    class Doubled(nn.Module):
        def forward(self, x):
            return 2 * x

    parametrize.register_parametrization(network.second, "weight", Doubled())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (hooked, "conv: a hook is registered on it, which quantized training would not run"),
        (lambda n: weight_norm(n.conv), "conv: its weights are computed by WeightNorm in a hook"),
        (lambda n: spectral_norm(n.conv), "conv: its weights are computed by SpectralNorm in a"),
        (
            lambda n: parametrizations.weight_norm(n.second),
            "second: its weight is computed by a parametrization",
        ),
        (doubled, "second: its weight is computed by a parametrization"),
        (pruned, "second: its weights are computed by torch.nn.utils.prune in a hook"),
        (tied, "third.weight: it is the same parameter as second.weight"),
        (not_a_number, "second: it gives values that are no finite numbers"),
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_what_forward_does_not_say_is_named(change, message, images):
    network = Written(plain)
    change(network)
    with pytest.raises(adq.PrepareError) as caught:
        adq.prepare(network, images[:1])
    assert str(caught.value).startswith(message)


class Named(nn.Module):
    """A convolution of a given name and padding."""

    def __init__(self, name: str, padding: int = 1):
        super().__init__()
        self.add_module(name, nn.Conv2d(3, 4, 3, padding=padding))
        self.fc = nn.Linear(4, 2)
        self.name = name

    def forward(self, x):
        return self.fc(functional.relu(getattr(self, self.name)(x)).mean((2, 3)))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Named("input"), "'input': this name is that of the images: rename the module"),
        (Named("a" * 65), f"'{'a' * 65}': this name has 65 characters, at most 56 fit"),
        (Named("with blank"), "'with blank': names in an artifact have letters, digits"),
        (Named("größe"), "'größe': names in an artifact have letters, digits"),
        (Named("conv", 17), "an artifact cannot hold the network: conv"),
    ],
)
def test_what_an_artifact_cannot_hold_is_known_before_training(network, message, images):
    with pytest.raises(adq.PrepareError) as caught:
        adq.prepare(network, images[:1])
    assert str(caught.value).startswith(message)


class ByCount(Written):
    """Another network for more than three images."""

    def forward(self, x):
        return super().forward(x) if len(x) <= 3 else 2 * super().forward(x)


class ByCalls(Written):
    """Another network with every call."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        y = super().forward(x)
        return 2 * y if self.calls > 2 else y


class Squeezing(Written):
    """One image has another shape."""

    def forward(self, x):
        return super().forward(x).squeeze()


class OneImage(Written):
    """Only one image fits."""

    def forward(self, x):
        return super().forward(x.view(1, 3, 8, 8))


@pytest.mark.parametrize(
    ("kind", "images_given", "message"),
    [
        (ByCount, 4, "forward gives something else for these 4 images than what was read"),
        (ByCalls, 1, "forward gives something else for these 2 images than what was read"),
        (Squeezing, 1, "the network gives (5,) for 1 images where (N, ...) would be"),
        (OneImage, 1, "OneImage cannot be traced"),
    ],
)
def test_a_forward_that_depends_on_more_than_images_is_refused(kind, images_given, message, images):
    torch.manual_seed(2)
    network = kind(plain)
    with pytest.raises(adq.PrepareError) as caught:
        adq.prepare(network, images[:images_given])
    assert str(caught.value).startswith(message)


def test_a_misread_operation_is_found_where_it_stands(monkeypatch, images):
    """A reader with a fault: the check beside the network's own tensors must name the place."""

    class Wrong(AveragePool):
        def __init__(self, *, divisor, **fields):
            super().__init__(divisor=divisor + 1, **fields)

    monkeypatch.setattr(windows.ops, "AveragePool", Wrong)
    with pytest.raises(adq.PrepareError) as caught:
        adq.prepare(Written(divisor_by_position), images[:1])
    assert str(caught.value).startswith(
        "avg_pool2d: what was read of the network computes something else here than the network"
    )


def test_preparing_finds_no_ranges(images):
    prepared = adq.prepare(Written(plain), images)
    assert not any(each.range_is_known for each in prepared.model.activation_quantizers.values())
    with pytest.raises(ExportError) as caught:
        integer_network(prepared, name="untrained")
    assert str(caught.value) == (
        "input: the range of its activations was never found at 16 bits: train, or run a batch in "
        "training mode, prepared.model.train()(images), first"
    )


def test_export_after_new_bits_wants_a_batch(images):
    prepared = adq.prepare(Residual(), images)
    prepared.model.train()(images)
    integer_network(prepared, name="trained")
    prepared.set_bits({"block2.conv1": 4})
    with pytest.raises(ExportError, match=r"^block2\.conv1\.input: the range .* at 4 bits"):
        integer_network(prepared, name="stale")
    prepared.set_bits({"block2.conv1": 16})
    prepared.set_bits(dict.fromkeys(prepared.layers, 8), keep_ranges=True)
    integer_network(prepared, name="as they were")


@pytest.mark.parametrize(
    ("images_of", "labels", "message"),
    [
        (lambda x: x * torch.nan, None, "images: they hold values that are no finite numbers"),
        (lambda x: x[:, :2], None, "images: they are (4, 2, 8, 8), and must be a tensor (N, 3, 8"),
        (lambda x: x.numpy(), None, "images: they are (4, 3, 8, 8), and must be a tensor"),
        (lambda x: x, torch.zeros(3), "labels have shape (3,): they must have (4,)"),
        (lambda x: x, torch.full((4,), 5), "labels must be integers from 0 to 4"),
        (lambda x: x, torch.full((4,), 0.5), "labels must be integers from 0 to 4"),
    ],
)
def test_samples_that_do_not_suit_the_network(images_of, labels, message, images, tmp_path):
    prepared = adq.prepare(Written(plain), images)
    prepared.model.train()(images)
    with pytest.raises(ExportError) as caught:
        export_network(
            prepared, tmp_path / "it", name="it", images=images_of(images), labels=labels
        )
    assert str(caught.value).startswith(message)
