"""Liberty files, tiles, recipes, coefficients and images: damaged, or none at all."""

import os
import random
import socket
from pathlib import Path

import pytest

from adq.cli.application import explain
from adq.data.hub import HUB_DATA_SETS, DataError
from adq.energy.coefficients import Coefficients, EnergyError
from adq.energy.glitches import GlitchFactors
from adq.explore.space import ExploreError, Space
from adq.fields import ConfigError
from adq.rtl.parameters import ParameterError, TileParameters
from adq.shipped import find_shipped
from adq.training.config import Recipe
from adq.verif.liberty.library import LibertyError, Library
from adq.verif.placement.errors import PlacementError
from adq.verif.placement.geometry import Geometry
from tests.places import ROOT

pytestmark = pytest.mark.testpoint("artifact.strangers")

LIBERTY = ROOT / "tests" / "liberty"
ENERGY = ROOT / "sw" / "adq" / "energy"


def parquet(path):
    """Name a Parquet file's folder; the file itself is not opened where it is none."""
    return HUB_DATA_SETS["cifar10"].files("train", path.parent)


READERS = {
    "liberty": (Library.read, LibertyError, ROOT / "tests" / "liberty" / "tiny.lib"),
    "tile": (TileParameters.from_toml, ParameterError, ROOT / "configs" / "tile" / "64x64.toml"),
    "recipe": (Recipe.from_toml, ConfigError, ROOT / "configs" / "train" / "digits.toml"),
    "space": (Space.read, ExploreError, ROOT / "configs" / "explore" / "digits-tile.toml"),
    "geometry": (
        lambda path: Geometry.read(Library.read(LIBERTY / "tiny.lib"), path=path),
        PlacementError,
        LIBERTY / "tiny_geometry.toml",
    ),
    "coefficients": (
        Coefficients.read,
        EnergyError,
        ENERGY / "coefficients" / "nangate45-16x16.json",
    ),
    "glitches": (GlitchFactors.read, EnergyError, ENERGY / "glitches" / "nangate45-16x16.json"),
    "images": (parquet, DataError, ROOT / "README.md"),
}


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


INSTEAD = {
    "pipe": os.mkfifo,
    "folder": os.mkdir,
    "socket": make_socket,
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "link to a terminal": lambda path: path.symlink_to("/dev/tty"),
    "link to itself": lambda path: path.symlink_to(path),
    "link to nothing": lambda path: path.symlink_to(path.with_name("nothing")),
}
CONTENTS = {
    "empty": b"",
    "zeros": bytes(10_000),
    "no text": bytes(range(128, 256)) * 8,
    "brackets": b"[" * 200_000,
    "braces": b"{" * 200_000,
    "a page": b"<html><body>404 Not Found</body></html>\n",
    "JSON": b'{"format": 1}',
    "a number": b"1",
}


def refusal(kind, path) -> str:
    """Read a file, and return the message that refuses it, or nothing where it is read."""
    reader, error, _ = READERS[kind]
    try:
        reader(path)
    except (error, OSError) as caught:
        line = explain(caught)
        assert line
        return line
    return ""


def assert_refused(kind, path) -> None:
    """Read a file that must be refused in one line, which names it."""
    line = refusal(kind, path)
    assert str(path) in line
    assert "\n" not in line


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("instead", INSTEAD)
def test_what_is_no_file_is_refused_at_once(kind, instead, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    path = Path("train-00000-of-00001.parquet")
    INSTEAD[instead](path)
    assert_refused(kind, path)


@pytest.mark.parametrize("kind", [kind for kind in READERS if kind != "images"])
@pytest.mark.parametrize("content", CONTENTS)
def test_what_holds_something_else_is_refused(kind, content, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(CONTENTS[content])
    assert_refused(kind, path)


@pytest.mark.parametrize("kind", READERS)
def test_a_link_to_a_good_file_is_the_file(kind, tmp_path):
    reader, _, good = READERS[kind]
    path = tmp_path / "train-00000-of-00001.parquet"
    path.symlink_to(good)
    assert reader(path)


@pytest.mark.parametrize("kind", ["liberty", "tile", "recipe", "coefficients"])
def test_a_file_that_is_cut_short_is_refused_or_whole(kind, tmp_path):
    data = READERS[kind][2].read_bytes().rstrip()
    path = tmp_path / "file"
    for length in range(0, len(data), max(1, len(data) // 60)):
        path.write_bytes(data[:length])
        line = refusal(kind, path)
        assert "\n" not in line
        if kind in ("liberty", "coefficients"):  # of a TOML file, the first lines may be one, too
            assert str(path) in line


TEXTS = [*'{}()"=#', "\0", "\n", "nan", "-1", "1e400", "9" * 30, "inf", "[]"]


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Change, remove, double or put in some bytes."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        place, other = rng.randrange(len(changed)), rng.randrange(len(changed))
        match rng.randrange(4):
            case 0:
                changed[place] = rng.randrange(256)
            case 1:
                del changed[place : place + rng.randint(1, 40)]
            case 2:
                changed[place:place] = changed[other : other + rng.randint(1, 60)]
            case _:
                changed[place : place + 1] = rng.choice(TEXTS).encode()
    return bytes(changed)


@pytest.mark.parametrize("kind", ["liberty", "tile", "recipe", "coefficients", "glitches"])
def test_a_damaged_file_is_read_or_refused_in_one_line(kind, tmp_path):
    data, rng, path = READERS[kind][2].read_bytes(), random.Random(5), tmp_path / "file"
    for _ in range(200):
        path.write_bytes(damaged(data, rng))
        assert "\n" not in refusal(kind, path)


def test_a_tile_of_any_length_is_not_read(tmp_path):
    path = tmp_path / "long.toml"
    with path.open("wb") as file:
        file.truncate(2**40)
    for kind in ("liberty", "tile", "recipe", "coefficients", "glitches"):
        assert_refused(kind, path)


def test_a_shipped_recipe_is_found_beside_a_folder_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()  # as after adq train digits --out digits
    assert Recipe.from_toml(find_shipped("train", "digits")).data.name == "digits"
    (tmp_path / "digits").rmdir()
    (tmp_path / "digits").write_text("")
    assert find_shipped("train", "digits") == Path("digits")
