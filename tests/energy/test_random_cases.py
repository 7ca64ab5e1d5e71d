"""Operands of the runs that characterize a tile."""

import numpy as np
import pytest

from adq.energy.fitting.fit import is_held_out
from adq.energy.gate_level.characterization_table import characterization_table
from adq.energy.gate_level.random_cases import RandomCase, random_cases
from adq.rtl.parameters import TileParameters

pytestmark = pytest.mark.testpoint(reason="Energy of networks: software above the contracts.")

TILE = TileParameters(rows=64, columns=64, row_blocks=1, partial_sums=0)


def words_of(case: RandomCase) -> np.ndarray:
    return np.concatenate([job.activations.ravel() for job in case.jobs(TILE)])


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_as_many_words_of_each_vector_are_zero_as_the_density_says(bits):
    [job] = RandomCase("uniform", bits, bits, 0.5).jobs(TILE)
    assert (np.count_nonzero(job.activations, axis=-1) == 32).all()
    assert set(np.unique(job.activations)) <= set(range(2**bits))


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_of_words_of_any_value_half_of_the_bits_are_set(bits):
    words = words_of(RandomCase("uniform", bits, bits, 1.0, words="any"))
    assert set(np.unique(words)) <= set(range(2**bits))
    planes = words[:, None] >> np.arange(bits) & 1
    # Six standard deviations of a fair coin.
    assert abs(planes.mean(axis=0) - 0.5).max() < 3 / np.sqrt(len(words))


def test_cases_differ_and_those_of_any_value_are_held_out():
    cases = random_cases()
    assert len({case.identity for case in cases}) == len(cases)
    held_out = [
        case for case in cases if is_held_out({"weights": case.weights, "words": case.words})
    ]
    assert [case.weight_bits for case in held_out] == [2, 4, 8, 16]
    assert {case.words for case in held_out} == {"any"}
    assert is_held_out({"weights": "real:digits:conv1"})


def test_the_ratio_of_a_mac_is_told_for_both_kinds_of_words():
    def run(bits: int, density: float, words: str, energy: float) -> dict:
        return {
            "weights": "uniform", "used": 1.0, "weight_bits": bits, "activation_bits": bits,
            "activation_density": density, "words": words, "macs": 100, "leakage_nw": 0.0,
            "windows": {"compute": {"cycles": 10, "blocks": {"control": {"net": energy}}}},
        }  # fmt: skip

    found = {
        "library": {"name": "hand", "voltage": 1.0, "temperature": 25.0},
        "tile": {"rows": 8, "columns": 16},
        "nets": 7,
        "period_ns": 2.0,
        "runs": [
            run(2, 0.5, "uniform", 400.0), run(16, 0.5, "uniform", 20_000.0),
            run(2, 0.75, "any", 500.0), run(16, 1.0, "any", 30_000.0),
        ],
    }  # fmt: skip
    caption = characterization_table(found).caption
    assert "A MAC of 16x16 bits takes 50.0x one of 2x2." in caption
    assert "half of whose bits are set, one of 16x16 bits takes 60.0x" in caption
