"""Documents: generated sections, and names that must exist."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.cli.application import command_names
from adq.signoff.documents import DocumentError, documents, make_targets, missing_names, written
from adq.signoff.sections.document_sections import SECTIONS
from tests.places import ROOT


@pytest.fixture
def root(tmp_path) -> Path:
    """A project of one page."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "verif").mkdir()
    (tmp_path / "sw" / "adq").mkdir(parents=True)
    (tmp_path / "sw" / "adq" / "verif").symlink_to("../../verif")
    (tmp_path / "verif" / "there.py").write_text(
        '__all__ = ["lazy"]\n\n\nclass Kind:\n    def method(self): ...\n\n\nLIMIT = 3\n'
    )
    (tmp_path / "Makefile").write_text(".PHONY: lint \\\n  test\n")
    (tmp_path / "docs" / "page.md").write_text("")
    (tmp_path / "README.md").write_text("")
    return tmp_path


def test_a_section_is_written_and_the_rest_is_kept(root):
    page = root / "docs" / "page.md"
    page.write_text("before\n<!-- generated: x -->\nold\n<!-- end -->\nafter\n")
    text = written(page, {"x": lambda: ["| a |", "| 1 |"]})
    assert text == "before\n<!-- generated: x -->\n| a |\n| 1 |\n<!-- end -->\nafter\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- generated: y -->\n<!-- end -->\n", "no section 'y' is known: it must be one of x"),
        ("<!-- generated: x -->\n", "a generated section has no end"),
    ],
)
def test_sections_that_cannot_be_written(root, text, message):
    page = root / "docs" / "page.md"
    page.write_text(text)
    with pytest.raises(DocumentError, match=message):
        written(page, {"x": list})


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("`adq.verif.there`, `adq.verif.there.Kind`, `adq.verif.there.Kind.method`", None),
        ("`adq.verif.there.LIMIT` and `adq.verif.there.lazy`", None),
        ("`adq.verif.gone`", "adq.verif.gone"),
        ("`adq.verif.there.nothing(a)`", "adq.verif.there.nothing"),
        ("`verif/there.py` `there.py` `build/made.json` `results/NAME.json`", None),
        ("`verif/gone.py`", "verif/gone.py"),
        ("`gone.py`", "gone.py"),
        ("[page](docs/page.md) [web](https://example.org/x)", None),
        ("[page](docs/gone.md)", "docs/gone.md"),
        ("`make lint`, and make noise of it", None),
        ("`make noise`", "the target make noise"),
        ("`adq energy DIR`, which adq certainly has", None),
        ("```sh\nadq energy DIR\n.venv/bin/adq dance\n```", "the command adq dance"),
        ("`adq dev energy`", "the command adq dev energy"),
    ],
)
def test_names_that_do_not_exist_are_told(root, text, missing):
    (root / "README.md").write_text(text)
    targets = make_targets(root / "Makefile")
    found = list(missing_names(root / "README.md", root, commands=["energy"], targets=targets))
    if missing is None:
        assert found == []
    else:
        [line] = found
        assert f"names {missing}, which" in line or f"links to {missing}, which" in line


def test_a_figure_that_was_changed_by_hand_fails_the_check(root):
    page = root / "README.md"
    page.write_text("<!-- generated: silicon -->\n<!-- end -->\n")
    run = CliRunner().invoke
    assert run(main, ["dev", "docs", "--root", str(root), "--check"]).exit_code == 1
    assert run(main, ["dev", "docs", "--root", str(root)]).exit_code == 0
    assert run(main, ["dev", "docs", "--root", str(root), "--check"]).exit_code == 0
    assert "Colonnade" in page.read_text()
    page.write_text(page.read_text().replace("1,169.7", "1,169.8"))
    result = run(main, ["dev", "docs", "--root", str(root), "--check"])
    assert result.exit_code == 1
    assert "README.md: a section differs from its data: run `adq dev docs`" in result.output


def test_this_project_s_documents_are_up_to_date():
    targets = make_targets(ROOT / "Makefile")
    for path in documents(ROOT):
        assert written(path, SECTIONS) == path.read_text(encoding="utf-8"), path
        assert not list(missing_names(path, ROOT, commands=command_names(), targets=targets))


def test_every_section_is_in_a_document():
    texts = "".join(path.read_text(encoding="utf-8") for path in documents(ROOT))
    assert set(re.findall(r"<!-- generated: ([\w-]+) -->", texts)) == set(SECTIONS)
