"""Published silicon: every figure with its expected value, worked out by hand from its source."""

from pathlib import Path

import pytest

from adq.energy.coefficients import EnergyError
from adq.energy.glitches import GlitchFactors, GlitchFigure
from adq.energy.reports.published import COLONNADE_FJ_PER_MAC
from adq.energy.reports.silicon import read_silicon, silicon, tile_points

# Reference, V, bits, fJ a bit product: 2000 / (TOPS/W) / bits^2, or fJ a MAC / bits^2.
EXPECTED = [
    ("Kim et al., JSSC 2021", 0.8, 1, 68.1),
    ("Kim et al., JSSC 2021", 0.8, 2, 40.4),
    ("Kim et al., JSSC 2021", 0.8, 4, 26.46),
    ("Kim et al., JSSC 2021", 0.8, 8, 18.28),
    ("Kim et al., JSSC 2021", 0.8, 16, 15.61),
    ("Kim et al., JSSC 2021", 0.7, 2, 25.45),
    ("Kim et al., JSSC 2021", 0.7, 4, 16.29),
    ("Kim et al., JSSC 2021", 0.7, 8, 11.33),
    ("Kim et al., JSSC 2021", 0.7, 16, 9.827),
    ("Kim et al., JSSC 2021", 0.6, 2, 9.95),
    ("Kim et al., JSSC 2021", 0.6, 4, 6.506),
    ("Kim et al., JSSC 2021", 0.6, 8, 4.5625),
    ("Kim et al., JSSC 2021", 0.6, 16, 3.867),
    ("Tu et al., ISSCC 2022, 15.5", 0.9, 8, 0.854),
    ("Guo et al., ISSCC 2023, 7.2", 0.9, 8, 1.603),
    ("You et al., TCAS-I 2024", None, 4, 2.789),
    ("Chih et al., ISSCC 2021, 16.4", None, 4, 1.404),
    ("Yan et al., ISSCC 2022, 11.7", None, 8, 1.141),
    ("He et al., ISSCC 2023, 7.3", None, 8, 0.822),
    ("He et al., ISSCC 2023, 7.3", None, 8, 0.3064),
    ("Fujiwara et al., ISSCC 2022", None, 4, 0.492),
    ("Mori et al., ISSCC 2023", None, 1, 0.3245),
    ("Fujiwara et al., ISSCC 2024", None, 12, 0.427),
]


def test_every_figure_is_as_published():
    found = [
        (point.reference, point.voltage, bits, point.fj_per_bit_product(bits))
        for point in silicon()
        for bits in point.fj_per_mac
    ]
    assert [each[:3] for each in found] == [each[:3] for each in EXPECTED]
    for (*_, energy), (*_, expected) in zip(found, EXPECTED, strict=True):
        assert energy == pytest.approx(expected, rel=1e-3)


def test_colonnade_is_the_same_in_both_places():
    [point] = [p for p in silicon() if p.name == "Colonnade" and p.voltage == 0.8]
    assert dict(point.fj_per_mac) == COLONNADE_FJ_PER_MAC


@pytest.mark.parametrize(("name", "expected"), [("Tu", 2.05), ("Guo", 3.85)])
def test_scaling_to_this_tile_s_node_and_voltage(name, expected):
    [point] = [p for p in silicon() if p.name == name]
    scaled = point.scaled(8, node_nm=45, voltage=1.1)
    assert scaled / 64 == pytest.approx(expected, abs=0.005)


def test_what_has_no_voltage_is_not_scaled():
    [point] = [p for p in silicon() if p.name == "Chih"]
    assert point.scaled(4, node_nm=45, voltage=1.1) is None
    assert point.tops_per_watt(4) == pytest.approx(89.0)


def test_the_tile_scales_by_the_square_of_its_voltage():
    figure = GlitchFigure(8, 8, {"fusing": 100.0}, {"fusing": 121.0}, 1, 2, 3, 1.0)
    factors = GlitchFactors(
        *("lib", "0", "0", 1.1, 25.0, 2.0, 64, 64, "ripple_carry"), figures=(figure,)
    )
    points = tile_points(factors)
    assert [point.voltage for point in points] == [1.1, 0.95, 0.8, 0.6]
    assert [point.scaled for point in points] == [False, True, True, True]
    assert points[0].fj_per_mac[8] == pytest.approx(121.0)
    assert points[3].fj_per_mac[8] == pytest.approx(36.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "is no list of operating points"),
        ("[[point]]\nname = 'a'", "point 1: 'fj_per_mac'"),
        (
            "[[point]]\nname='a'\nreference='b'\nnode_nm=1\nkind='guessed'\ntrust='c'\n"
            "fj_per_mac={2=1.0}",
            "point 1: kind must be one of measured, simulated",
        ),
    ],
)
def test_damaged_files_are_a_named_error(tmp_path: Path, text, message):
    path = tmp_path / "silicon.toml"
    path.write_text(text)
    with pytest.raises(EnergyError, match=message):
        read_silicon(path)
