"""SAIF: what is written reads back, what others write can be read, and damage is told."""

import pytest

from adq.verif.simulation.switching.saif import NetActivity, Saif, SaifError, read_saif, write_saif

pytestmark = pytest.mark.testpoint(
    reason="Switching, how it is counted and what it takes: figures about the design."
)

SAIF = Saif(
    "tile",
    20,
    {
        ("clk",): NetActivity(10, 20),
        ("feeder", "plane[3]"): NetActivity(4, 2),
        ("feeder", "advance$29"): NetActivity(0, 0),
        ("a.b", "c", "totals.3[0]"): NetActivity(20, 0),
    },
)

OF_ANOTHER_TOOL = r"""
(SAIFILE
(SAIFVERSION "2.0") (DIRECTION "backward") (PROGRAM_NAME "other") // a comment
(DIVIDER . )
(TIMESCALE 10ps)
(DURATION 7)
(INSTANCE "module" top
  (PORT (en (T0 3) (T1 4) (TZ 0) (TX 0) (TB 0) (TC 1)))
  (INSTANCE u1
    (NET (q\[0\] (T0 7) (T1 0) (TX 0) (TC 0) (IG 0)))
    (INSTANCE u2 (NET (n (T1 2) (TC 4) (COND a (T1 1)) ) ))
    (LEAKAGE (anything (at all)))
  )
))
"""


def test_a_window_reads_back(tmp_path):
    path = tmp_path / "window.saif"
    write_saif(path, SAIF)
    assert read_saif(path, design="tile") == SAIF
    assert read_saif(path).seconds == pytest.approx(20e-9)
    text = path.read_text()
    assert r"(plane\[3\] (T0 16) (T1 4) (TX 0) (TC 2) (IG 0))" in text
    assert [p.name for p in tmp_path.iterdir()] == ["window.saif"]


def test_files_of_other_tools(tmp_path):
    path = tmp_path / "other.saif"
    path.write_text(OF_ANOTHER_TOOL)
    saif = read_saif(path)
    assert (saif.design, saif.duration) == ("top", 7)
    assert saif.seconds == pytest.approx(70e-12)
    assert saif.nets == {
        ("en",): NetActivity(4, 1),
        ("u1", "q[0]"): NetActivity(0, 0),
        ("u1", "u2", "n"): NetActivity(2, 4),
    }


@pytest.mark.parametrize("name", ["", "$12"])
def test_names_that_readers_stop_at_are_refused(name, tmp_path):
    with pytest.raises(SaifError, match="no name that SAIF allows: name it in the design"):
        write_saif(tmp_path / "x.saif", Saif("tile", 1, {(name,): NetActivity(0, 0)}))
    assert not list(tmp_path.iterdir())


def net(text: str) -> str:
    return OF_ANOTHER_TOOL.replace("(NET (n ", f"(NET {text} (n ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "ends in the middle: the file is cut short"),
        ("hello", r"does not begin with \(SAIFILE"),
        (OF_ANOTHER_TOOL[:-30], "ends in the middle: the file is cut short"),
        (OF_ANOTHER_TOOL.replace('"backward"', '"backward'), "a name or a string has no end"),
        (OF_ANOTHER_TOOL.replace("(DURATION 7)", "(DURATION 0)"), "its window is empty"),
        (OF_ANOTHER_TOOL.replace("(DURATION 7)", "(DURATION x)"), "DURATION is 'x', not a whole"),
        (OF_ANOTHER_TOOL.replace("(DURATION 7)", ""), r"has no \(DURATION \.\.\.\)"),
        (OF_ANOTHER_TOOL.replace("10ps", "3 weeks"), "the timescale '3 weeks'"),
        (OF_ANOTHER_TOOL.replace("backward", "forward"), "forward SAIF, which holds no counts"),
        (net("(m (T1 x) (TC 1))"), "line 11: T1 is 'x', not a whole number"),
        (net("(m (T1 -1) (TC 1))"), "line 11: T1 is '-1'"),
        (net("(m (T1 1))"), "line 11: net m has no T1 or no TC"),
        (net("(n (T1 1) (TC 1))"), "line 11: net u1/u2/n is there twice"),
        (net("m"), "line 11: 'm' stands where a group must begin or end"),
        (net("(m (T1 8) (TC 1))"), "u1/u2/m is at one for 8 of 7"),
    ],
)
def test_damage_is_told(text, message, tmp_path):
    path = tmp_path / "bad.saif"
    path.write_text(text)
    with pytest.raises(SaifError, match=rf"bad\.saif: .*{message}"):
        read_saif(path)


def test_another_design_is_told(tmp_path):
    path = tmp_path / "other.saif"
    path.write_text(OF_ANOTHER_TOOL)
    with pytest.raises(SaifError, match="is of design top, not of tile: simulate that one"):
        read_saif(path, design="tile")


def test_the_nets_of_another_design_of_that_name_are_told(tmp_path):
    path = tmp_path / "window.saif"
    write_saif(path, SAIF)
    assert read_saif(path, nets=SAIF.nets) == SAIF
    other = {("clk",), ("feeder", "plane[4]")}
    with pytest.raises(SaifError, match=r"has 1 of 2 nets of tile, and 3 others, such as feeder/"):
        read_saif(path, nets=other)
    with pytest.raises(SaifError, match=r"has 1 of 1 nets of tile, and 3 others, such as a\.b/c"):
        read_saif(path, nets={("clk",)})
