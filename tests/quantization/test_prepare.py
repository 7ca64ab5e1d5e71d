"""``adq.prepare`` on networks of users' own."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import adq
from tests.quantization.user_networks import Functional, Residual, pruned_half

NETWORKS = {"residual": Residual, "functional": Functional}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def images():
    return torch.randn(12, 3, 16, 16, generator=torch.Generator().manual_seed(5))


def prepared_network(name: str, images, bits: int = 16) -> adq.Prepared:
    torch.manual_seed(4)
    prepared = adq.prepare(NETWORKS[name](), images[:1], bits=bits)
    for module in prepared.model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.3)
            nn.init.normal_(module.bias, 0.0, 0.3)
    for _ in range(20):
        prepared.model.train()(images)
    prepared.model.eval()
    return prepared


@pytest.mark.parametrize("name", NETWORKS)
def test_at_16_bits_it_computes_what_the_network_computes(name, images):
    prepared = prepared_network(name, images)
    network = prepared.model.network
    assert isinstance(network, NETWORKS[name])
    with torch.no_grad():
        expected = network(images)
        assert torch.allclose(
            prepared.model(images), expected, atol=2e-3 * expected.abs().max().item()
        )


def test_layers_in_order_with_their_bits_channels_and_macs(images):
    prepared = adq.prepare(Functional(), images[:1])
    assert prepared.layers == ("first", "grouped", "plain", "hidden", "last")
    assert prepared.bits == dict.fromkeys(prepared.layers, 16)
    assert prepared.channels == {"first": 8, "grouped": 12, "plain": 12, "hidden": 20, "last": 10}
    assert prepared.macs == {
        "first": 16 * 8 * 8 * 3 * 25,  # positions, outputs, inputs, kernel
        "grouped": 8 * 4 * 12 * 4 * 9,  # four inputs a group
        "plain": 4 * 4 * 12 * 12,
        "hidden": 12 * 20,
        "last": 20 * 10,
    }


def test_a_shortcut_follows_the_layer_that_it_joins(images):
    prepared = adq.prepare(Residual(), images[:1])
    assert prepared.followers == {
        "block1.downsample.0": "block1.conv3",
        "block3.downsample.0": "block3.conv3",
    }
    assert ("block1.conv3", "block1.downsample.0", "block2.conv3") in {
        tuple(sorted(group)) for group in prepared.groups
    }
    assert not any("fc" in group for group in prepared.groups)


def test_preparing_leaves_the_network_as_it_was(images):
    network = Residual().train()
    network.block2.eval()
    before = copy.deepcopy(network.state_dict())
    adq.prepare(network, images)
    assert network.training
    assert not network.block2.bn1.training
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


class Identity1x1(nn.Module):
    """Its only activations are the images' own."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1, bias=False)
        self.pool = nn.MaxPool2d(2)
        self.linear = nn.Linear(3 * 64, 4)
        nn.init.dirac_(self.conv.weight)

    def forward(self, x):
        return self.linear(self.pool(functional.relu(self.conv(x))).flatten(1))


def test_density_counts_an_epoch_of_unequal_batches_exactly():
    rng = np.random.default_rng(6)
    # Few positive pixels in the large batch, many in the small one.
    batches = [
        rng.choice([-1.0, 1.0], size=(count, 3, 16, 16), p=[1 - share, share])
        for count, share in ((32, 0.2), (32, 0.3), (5, 0.9))
    ]
    prepared = adq.prepare(Identity1x1(), torch.zeros(1, 3, 16, 16))
    for batch in batches:
        prepared.model.train()(torch.tensor(batch, dtype=torch.float32))
    prepared.model.eval()(torch.ones(1, 3, 16, 16))  # evaluation does not count
    positive = sum(int((batch > 0).sum()) for batch in batches)
    elements = sum(batch.size for batch in batches)
    assert prepared.density_counts() == {"conv": (positive, elements)}
    counts = prepared.density_counts(lambda counts: 3 * counts)
    assert counts == {"conv": (3 * positive, 3 * elements)}
    assert prepared.densities() == {"conv": positive / elements}
    assert prepared.densities() == {}

    prepared.restore_density_counts(counts)
    prepared.model.train()(torch.ones(2, 3, 16, 16))
    assert prepared.density_counts() == {"conv": (3 * positive + 1536, 3 * elements + 1536)}


def test_density_does_not_depend_on_the_precision_of_what_reads_it(images):
    """What a coarse quantizer rounds to zero is active all the same."""
    fine, coarse = (adq.prepare(Identity1x1(), images[:1]) for _ in range(2))
    coarse.set_bits({"linear": 2})
    for prepared in (fine, coarse):
        prepared.model.train()(images)
    assert coarse.densities() == fine.densities()


@pytest.mark.parametrize("name", NETWORKS)
def test_channels_that_do_nothing_leave_without_a_trace(name, images):
    """Every second channel is silent: a network of half the channels computes the same."""
    prepared = prepared_network(name, images)
    groups = prepared.groups
    assert len(groups) == {"residual": 9, "functional": 1}[name]
    for layer in (prepared.model.layers[name] for group in groups for name in group):
        with torch.no_grad():
            for tensor in (layer.norm or layer.module).parameters():
                tensor[1::2] = 0
    with torch.no_grad():
        expected = prepared.model(images)
        macs = sum(prepared.macs.values())
        wanted = pruned_half(groups, prepared.channels)
        prepared.prune(wanted)
        assert {each: prepared.channels[each] for each in wanted} == wanted
        # A weight that has left may have been its output's largest: the grid is a little finer.
        scale = expected.abs().max().item()
        assert torch.allclose(prepared.model(images), expected, atol=1e-3 * scale)
        # The network itself has shrunk as well.
        error = prepared.model.network(images) - expected
        assert error.abs().max() < 2e-3 * scale
    assert sum(prepared.macs.values()) < macs
    for _ in range(2):
        prepared.model.train()(images).sum().backward()


@pytest.mark.parametrize("optimizer_class", [torch.optim.Adam, torch.optim.SGD])
def test_an_optimizer_keeps_what_belongs_to_the_channels_that_stay(optimizer_class, images):
    prepared = prepared_network("residual", images)
    parameters = dict(prepared.model.named_parameters())
    momentum = {"momentum": 0.9} if optimizer_class is torch.optim.SGD else {}
    optimizer = optimizer_class(prepared.model.parameters(), lr=0.01, **momentum)
    prepared.model.train()(images).square().sum().backward()
    optimizer.step()
    # Moments that say which element they belong to.
    for parameter, state in optimizer.state.items():
        for value in state.values():
            if value.shape == parameter.shape and value.dim():
                value.copy_(parameter.detach())
    step = torch.ones(()) if not momentum else None
    prepared.prune(pruned_half(prepared.groups, prepared.channels), optimizer)
    assert all(parameters[name] is each for name, each in prepared.model.named_parameters())
    shrunk = 0
    for parameter, state in optimizer.state.items():
        moments = [value for value in state.values() if value is not None and value.dim()]
        assert all(torch.equal(value, parameter) for value in moments)
        shrunk += len(moments)
        assert step is None or state["step"] == step
    assert shrunk > 20
    prepared.model.train()(images).square().sum().backward()
    optimizer.step()


def test_a_pruned_network_of_few_bits_comes_back_from_its_state(images):
    prepared = prepared_network("residual", images)
    prepared.set_bits(dict.fromkeys(prepared.layers[1:-1], 3) | {"block2.conv2": 5})
    prepared.prune(pruned_half(prepared.groups, prepared.channels))
    prepared.model.train()(images)
    prepared.model.eval()
    again = adq.prepare(Residual(), images[:1])
    again.prune(prepared.channels)
    again.model.load_state_dict(prepared.model.state_dict())
    again.model.eval()
    assert (again.bits, again.channels) == (prepared.bits, prepared.channels)
    assert torch.equal(again.model(images), prepared.model(images))
    # The ranges are known: the next batch does not look for them.
    again.model.train()(10 * images)
    prepared.model.train()(10 * images)
    ranges = {name: each for name, each in prepared.model.named_parameters() if "range" in name}
    assert all(torch.equal(ranges[n], p) for n, p in again.model.named_parameters() if n in ranges)


def test_a_narrower_reader_has_a_range_of_its_own_that_learns_only_while_it_is_narrower(images):
    prepared = prepared_network("residual", images)

    def learning():
        named = prepared.model.named_parameters()
        return {name for name, each in named if "->" in name and each.requires_grad}

    assert learning() == set()
    prepared.set_bits({"block2.conv1": 4})
    assert learning() == {"quantizers.block1/conv3->block2/conv1:0.range"}
    prepared.model.train()(images).square().sum().backward()
    by_range = prepared.model.get_parameter("quantizers.block1/conv3->block2/conv1:0.range").grad
    assert by_range is not None
    assert by_range != 0
    prepared.set_bits({"block2.conv3": 4})  # the skip connection, its only wider reader
    assert learning() == set()


def test_a_copy_is_a_network_of_its_own(images):
    prepared = prepared_network("residual", images)
    other = copy.deepcopy(prepared.model).eval()
    before = prepared.model(images)
    assert torch.equal(other(images), before)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(0.5)
    assert not torch.equal(other(images), before)
    assert torch.equal(prepared.model(images), before)


@pytest.mark.parametrize("name", NETWORKS)
def test_trains_with_operands_in_bfloat16(name, images):
    prepared = prepared_network(name, images)
    prepared.set_bits(dict.fromkeys(prepared.layers[1:-1], 4) | {prepared.layers[2]: 3})
    with torch.no_grad():
        prepared.model.train()(images)
        prepared.model.eval()
        full = prepared.model(images)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert (prepared.model(images) - full).abs().max() < 0.2 * full.abs().max()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        prepared.model.train()(images).float().square().sum().backward()
    gradients = [p.grad for p in prepared.model.parameters() if p.requires_grad]
    assert all(gradient.isfinite().all() for gradient in gradients)


class Broken(nn.Module):
    """A convolution and a linear layer around something else."""

    def __init__(self, between: nn.Module | None = None):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.between = between or nn.Identity()
        self.linear = nn.Linear(4 * 64, 4)

    def forward(self, x):
        return self.linear(functional.max_pool2d(self.between(self.conv(x)), 2).flatten(1))


class Mixing(Broken):
    def forward(self, x):
        return super().forward(x.flip(0))


class Reused(Broken):
    def __init__(self):
        super().__init__()
        self.same = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        x = self.same(torch.relu(self.same(self.conv(x))))
        return self.linear(functional.max_pool2d(x, 2).flatten(1))


class Branching(Broken):
    def forward(self, x):
        return super().forward(x if x.mean() > 0 else -x)


class Probabilities(Broken):
    def forward(self, x):
        return functional.log_softmax(super().forward(x), dim=1)


class Scaled(Broken):
    def forward(self, x):
        return super().forward(x * 2)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Broken(nn.PReLU()), "between: PReLU has no integer form: its slope is learned"),
        (Broken(nn.GroupNorm(2, 4)), "between: GroupNorm has no integer form: use BatchNorm2d"),
        (Broken(nn.ConvTranspose2d(4, 4, 1)), "between: ConvTranspose2d has no integer form: use"),
        (Broken(nn.Upsample(scale_factor=1, mode="bilinear")), "between: Upsample has no integer"),
        (
            Broken(nn.BatchNorm2d(4, track_running_stats=False)),
            "between: batch norm without running statistics",
        ),
        (
            Broken(nn.AvgPool2d(3, 1, padding=1, count_include_pad=False)),
            "between: average pooling with count_include_pad=False divides",
        ),
        (Broken(nn.MaxPool2d(1, dilation=2)), "between: maximum pooling with dilation"),
        (Broken(nn.AdaptiveAvgPool2d((16, 17))), "between: images of (16, 16) do not divide"),
        (Reused(), "same: the module is called more than once: give each call a module of its"),
        (Branching(), "Branching cannot be traced"),
        (Probabilities(), "log_softmax: the function log_softmax has no integer form: return the"),
        (Scaled(), "mul: the function mul has no integer form for constants: scale the weights"),
        (Mixing(), "conv: its input mixes the images of a batch"),
    ],
)
def test_a_network_without_an_integer_form_is_named(network, message, images):
    with pytest.raises(adq.PrepareError) as caught:
        adq.prepare(network, images[:1])
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("network", "example", "message"),
    [
        (lambda x: x, torch.zeros(1, 3, 16, 16), "the network is a function: it must be a torch"),
        (Broken(), None, "the example must be a batch of images, a tensor (N, C, H, W)"),
        (Broken(), (1, 3, 16, 16), "the example must be a batch of images"),
        (Broken().half(), torch.zeros(1, 3, 16, 16), "conv.weight is torch.float16: quantizers"),
        (
            adq.prepare(Broken(), torch.zeros(1, 3, 16, 16)).model,
            torch.zeros(1, 3, 16, 16),
            "the network is prepared already",
        ),
    ],
)
def test_what_is_no_network_or_no_example(network, example, message):
    with pytest.raises(adq.PrepareError) as caught:
        adq.prepare(network, example)
    assert str(caught.value).startswith(message)


def test_an_optimizer_whose_state_cannot_follow_is_named_before_anything_changes(images):
    prepared = prepared_network("residual", images)
    optimizer = torch.optim.Adafactor(prepared.model.parameters())
    prepared.model.train()(images).sum().backward()
    optimizer.step()
    channels = prepared.channels
    with pytest.raises(adq.PrepareError, match=r"stem\.0\.weight: what Adafactor keeps for it as"):
        prepared.prune({"block1.conv1": 3}, optimizer)
    assert prepared.channels == channels


def test_an_example_that_does_not_fit(images):
    with pytest.raises(adq.PrepareError, match=r"does not run on an example of shape \(1, 3, 9"):
        adq.prepare(Broken(), torch.zeros(1, 3, 9, 9))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: p.set_bits({"fc": 1}), "fc: a precision of 1 bits: it must be 2 to 16"),
        (lambda p: p.set_bits({"fc": 4.0}), "fc: 4.0 is no integer"),
        (lambda p: p.prune({"stem.0": "4"}), "stem.0: '4' is no integer"),
        (lambda p: p.set_bits({"fc": 17}), "fc: a precision of 17 bits: it must be 2 to 16"),
        (lambda p: p.set_bits({"cf": 4}), "cf is no layer of the network: it has stem.0, "),
        (lambda p: p.prune({"fc": 4}), "fc: its channels are the logits, which stay"),
        (lambda p: p.prune({"stem.0": 0}), "stem.0: 0 channels: it has 8"),
        (lambda p: p.prune({"stem.0": 9}), "stem.0: 9 channels: it has 8"),
    ],
)
def test_what_cannot_be_asked_for(call, message, images):
    prepared = adq.prepare(Residual(), images[:1])
    with pytest.raises(adq.PrepareError) as caught:
        call(prepared)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("layer", ["first", "grouped", "plain"])
def test_channels_that_run_through_a_grouped_convolution_stay(layer, images):
    prepared = adq.prepare(Functional(), images[:1])
    with pytest.raises(adq.PrepareError) as caught:
        prepared.prune({layer: 4})
    assert str(caught.value) == (
        f"{layer}: its channels fall into the groups of grouped, which must stay equal"
    )
    assert prepared.groups == (("hidden",),)


def test_depthwise_convolutions_shrink_with_the_layers_around_them(images):
    torch.manual_seed(1)
    depthwise = nn.Sequential(
        *(nn.Conv2d(4, 6, 1), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.ReLU()),
        nn.Conv2d(6, 4, 1),
    )
    prepared = adq.prepare(Broken(depthwise), images[:1])
    assert ("between.0", "between.2") in prepared.groups
    prepared.prune({"between.0": 4})
    assert prepared.channels["between.2"] == 4
    prepared.model.train()(images).sum().backward()


def test_bits_at_the_start(images):
    with pytest.raises(adq.PrepareError, match="1 bits"):
        adq.prepare(Residual(), images[:1], bits=1)
    assert set(adq.prepare(Residual(), images[:1], bits=8).bits.values()) == {8}
