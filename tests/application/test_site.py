"""The documentation site: it builds without a warning, and its reference is complete."""

import html
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest

from adq.cli.application import COMMANDS, DEVELOPERS_COMMANDS
from adq.signoff.chain_result import kept_chain
from tests.places import ROOT

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The built site; a warning is this fixture's failure."""
    folder = tmp_path_factory.mktemp("site")
    options = ("-W", "--keep-going", "-q", "-b", "html", "-d", folder / "doctrees")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, DOCS, folder / "html"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "html"


def text_of(page: Path) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("kind", ["train", "tile"])
def test_every_key_of_a_shipped_file_is_in_the_reference(site, kind):
    page = {"train": "recipes.html", "tile": "tiles.html"}[kind]
    codes = set(re.findall(r'<span class="pre">(\w+)</span>', (site / page).read_text()))
    for file in (ROOT / "configs" / kind).glob("*.toml"):
        for table in tomllib.loads(file.read_text()).values():
            assert set(table) <= codes, file


def test_every_command_is_in_the_reference(site):
    text = text_of(site / "commands.html")
    for command in (*COMMANDS, *(f"dev {name}" for name in DEVELOPERS_COMMANDS)):
        assert re.search(rf"\badq {command}\b", text)


def test_the_reference_has_defaults_and_meanings(site):
    recipes = " ".join(text_of(site / "recipes.html").split())
    assert "window int 5 Number of epochs over which densities must be stable" in recipes
    assert (
        "epochs int required Number of passes over the training images, in all iterations together"
        in recipes
    )
    assert "columns int 64 Weight bits per row" in " ".join(text_of(site / "tiles.html").split())


def test_the_api_shows_what_a_training_loop_needs(site):
    text = text_of(site / "api.html")
    for name in ("prepare", "Controller", "export_network", "read_artifact", "TileParameters"):
        assert re.search(rf"\b{name}\(", text)


def test_the_picture_shows_what_is_kept():
    vectors = ROOT / "golden" / "vectors" / "digits-levels"
    kept = kept_chain(ROOT / "results" / "digits.json", vectors / "mixed", vectors / "16bit")
    svg = ElementTree.parse(DOCS / "figures" / "chain.svg")
    texts = [part.text for part in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert f"Energy of an image: {kept.ratio:.1f} times less" in texts, "make picture"
    for accuracy in (kept.accuracy, kept.uniform_accuracy):
        assert f"accuracy {accuracy:.1%}" in map(str.strip, texts), "make picture"


@pytest.mark.parametrize("folder", ["verif", "sw/adq", "verif/signoff"])
def test_the_architecture_names_every_room(folder):
    page = (DOCS / "architecture.md").read_text()
    for path in (ROOT / folder).iterdir():
        if (path / "__init__.py").exists() and not path.is_symlink():
            assert f"`{path.name}/`" in page, path
