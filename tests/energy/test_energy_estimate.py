"""``adq.energy``: the estimate for a module equals what ``adq energy`` says of its artifact."""

import subprocess
import sys

import pytest
import torch
from torch import nn

import adq
from adq.energy.coefficients import EnergyError, coefficients_for
from adq.energy.sources import artifact_energy
from adq.export import export_network
from adq.quantization.integers import ExportError
from adq.rtl.parameters import TileParameters

pytestmark = pytest.mark.testpoint(reason="An estimate about a network, not a promise of hardware.")


def network(seed=1):
    torch.manual_seed(seed)
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Conv2d(8, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 10)),
    )


@pytest.fixture
def images():
    return torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def test_it_is_the_energy_of_the_artifact_of_the_same_network(images, tmp_path):
    prepared = adq.prepare(network(), images, bits=4)
    prepared.model.train()
    prepared.model(images)
    prepared.model.eval()
    export_network(prepared, tmp_path / "artifact", name="mine", images=images)
    tile = TileParameters(rows=16, columns=32)
    written = artifact_energy(tmp_path / "artifact", coefficients_for("nangate45", tile), 3)
    estimated = adq.energy(prepared, images, tile=tile)
    assert estimated.network.layers == written.layers
    assert estimated.compute_pj == sum(estimated.layers.values()) > 0


def test_a_module_is_left_as_it_is_and_fewer_bits_take_less(images):
    module = network().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    energies = [adq.energy(module, images, bits=bits).compute_pj for bits in (2, 4, 8, 16)]
    assert energies == sorted(energies)
    assert energies[3] > 4 * energies[0]
    assert module.training
    assert before.keys() == module.state_dict().keys()
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_bits_of_a_layer_change_its_energy_alone(images):
    module = network()
    eight, mixed = adq.energy(module, images), adq.energy(module, images, bits={"4": 2})
    assert mixed.layers["4"] < eight.layers["4"] / 3
    assert mixed.layers["0"] == eight.layers["0"]


def test_print_shows_a_table_and_what_is_left_out(images):
    shown = str(adq.energy(network(), images))
    assert "fJ/MAC" in shown
    assert "total" in shown
    assert "off on layers that the model has not seen" in shown


def test_what_cannot_be_estimated_is_named(images):
    with pytest.raises(EnergyError, match="nangate99"):
        adq.energy(network(), images, library="nangate99")
    with pytest.raises(adq.PrepareError, match="LSTM"):
        adq.energy(nn.LSTM(8, 8), images)
    prepared = adq.prepare(network(), images)
    with pytest.raises(EnergyError, match="bits of its own"):
        adq.energy(prepared, images, bits=4)
    with pytest.raises(ExportError, match="range"):
        adq.energy(prepared, images)


def test_importing_the_package_imports_no_torch():
    code = "import sys, adq, adq.energy; print('torch' in sys.modules, callable(adq.energy))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["False", "True"]
