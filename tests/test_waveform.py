"""Timing diagrams: what is drawn where, and whether the documentation shows what the tile does."""

import re
from pathlib import Path
from xml.etree import ElementTree

from adq.verif.waveform.drawing import CELL, LABELS, Bits, Clock, Group, Span, Words, draw
from adq.verif.waveform.job import draw_job

FIGURE = Path(__file__).parents[1] / "docs" / "figures" / "job.svg"

SVG = "{http://www.w3.org/2000/svg}"


def parts(svg: str, kind: str) -> list[ElementTree.Element]:
    return [part for part in ElementTree.fromstring(svg).iter() if part.get("class") == kind]


def test_a_wire_is_high_where_its_level_is():
    [wire] = parts(draw([Group("", [Bits("a", [0, 1])])], cycles=2, title=""), "bit")
    points = [
        tuple(map(int, point.split(",")))
        for point in re.sub(r"(\d+) (\d+)", r"\1,\2", wire.get("points")).split()
    ]
    (x0, low), (x1, _), (_, high), (x3, _) = points
    assert (x0, x1, x3) == (LABELS, LABELS + CELL, LABELS + 2 * CELL)
    assert high < low


def test_equal_values_are_one_word_unless_they_are_beats():
    values = ["1", "1", None, "2"]
    for beats, texts in ((False, ["1", "2"]), (True, ["1", "1", "2"])):
        svg = draw([Group("", [Words("a", values, beats=beats)])], cycles=4, title="")
        assert [part.text for part in parts(svg, "value")] == texts
        assert len(parts(svg, "none")) == 1


def test_names_are_escaped():
    svg = draw([Group("a<b", [Clock("c&d"), Span(0, 0.5, ">")])], cycles=1, title="<&>")
    texts = [part.text for part in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert {"a<b", "c&d", ">"} <= set(texts)
    assert ElementTree.fromstring(svg).find(f"{SVG}title").text == "<&>"


def test_the_figure_in_the_documentation_is_what_the_tile_does():
    assert FIGURE.read_text() == draw_job(), "the tile's timing has changed: run `make waveform`"
