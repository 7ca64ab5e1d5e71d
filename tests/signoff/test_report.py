"""The report: what it says of results, and the page in a browser."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.signoff.regressions import under_way
from adq.signoff.report.content import gather
from adq.signoff.report.page import render
from adq.signoff.report.sources import SOURCES
from tests.signoff.report_results import HOSTILE, write_results

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture
def build(tmp_path):
    write_results(tmp_path / "build")
    return tmp_path / "build"


def states(content):
    return {name: section["state"] for name, section in content["sections"].items()}


def test_each_section_says_what_its_file_holds(build):
    content = gather(build)
    assert states(content) == {
        "testplan": "failed",
        "regression": "failed",
        "nightly": "not run",
        "coverage": "failed",
        "proofs": "passed",
        "mutation": "failed",
        "mutation_python": "passed",
        "injection": "passed",
        "energy": "passed",
        "bench_rtl": "passed",
    }
    sections = content["sections"]
    assert sections["testplan"]["summary"] == "1 passed, 1 failed, 0 not run"
    assert sections["mutation"]["summary"] == ("2 killed, 1 proved equal, 1 undecided, seed 1")
    assert sections["regression"]["data"]["seeds"] == [1, 7]
    assert sections["injection"]["summary"] == "100 faults, 30 of them silent corruptions, seed 1"


def change(build, name, changes):
    file = build / name
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_what_was_run_in_part_has_not_failed(build):
    points = json.loads((build / "testplan.json").read_text())["testpoints"]
    points[1] |= {"outcome": "not run", "evidence": {"tile.contracts": "not run"}}
    change(build, "testplan.json", {"testpoints": points})
    tests = json.loads((build / "regression/regression.json").read_text())["tests"][1:]
    cut_off = {"tests": tests, "failed": 0, "not_run": ["tile-4x16-seed8", "tile-4x16-seed9"]}
    change(build, "regression/regression.json", cut_off)
    content = gather(build)
    sections = content["sections"]
    assert (sections["testplan"]["state"], sections["testplan"]["summary"]) == (
        "incomplete",
        "1 passed, 0 failed, 1 not run",
    )
    assert (sections["regression"]["state"], sections["regression"]["summary"]) == (
        "incomplete",
        "41 passed, 0 failed, 2 not run; 1 seed",
    )
    assert 'class="state incomplete"' in render(content)


def test_a_regression_that_was_cut_off_has_not_passed(build):
    (build / "nightly").mkdir()
    (build / "nightly/nightly.json").write_text(json.dumps(under_way()))
    section = gather(build)["sections"]["nightly"]
    assert (section["state"], section["summary"]) == ("incomplete", "under way, or cut off")


def test_almost_everything_is_not_100_percent(build):
    block = {"instance": "tile", "line": {"hit": 0, "total": 0}}
    block |= {kind: {"hit": 19_999, "total": 20_000} for kind in ("branch", "toggle")}
    change(build, "coverage/coverage.json", {"blocks": [block]})
    section = gather(build)["sections"]["coverage"]
    assert section["state"] == "failed"
    assert section["summary"] == "line -, branch 99.9%, toggle 99.9%, functional 98.4%"


def test_what_was_not_run_is_said_with_its_command(tmp_path):
    content = gather(tmp_path)
    assert set(states(content).values()) == {"not run"}
    page = render(content)
    for _, command in SOURCES.values():
        assert html.escape(command) in page


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not valid JSON"),
        ("[]", "not an object of JSON"),
        ('{"proofs": [{"name": "x"}]}', "no results that this version wrote"),
        ('{"proofs": 3}', "no results that this version wrote"),
    ],
)
def test_a_damaged_file_spoils_its_own_section_alone(build, text, said):
    (build / "formal/formal.json").write_text(text)
    content = gather(build)
    assert content["sections"]["proofs"]["state"] == "unreadable"
    assert said in content["sections"]["proofs"]["summary"]
    assert content["sections"]["mutation"]["state"] == "failed"
    assert "Make it again with <code>make formal</code>" in render(content)


def test_the_command_writes_both_and_leaves_nothing_else(build, tmp_path):
    out = tmp_path / "out"
    told = CliRunner().invoke(main, ["dev", "report", "--build", str(build), "--out", str(out)])
    assert told.exit_code == 0, told.output
    assert sorted(path.name for path in out.iterdir()) == ["report.html", "report.json"]
    written = json.loads((out / "report.json").read_text())
    assert states(written) == states(gather(build))
    hashes = {source["name"]: source["sha256"] for source in written["sources"]}
    assert len(hashes["proofs"]) == 64
    assert hashes["proofs"] in (out / "report.html").read_text()


class Markup(HTMLParser):
    """Elements of a page, and whatever in it could ask the network for something."""

    def __init__(self, page: str):
        super().__init__()
        self.elements, self.asks = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.elements.append(tag)
        for name, value in attributes:
            if name in ("src", "srcset", "data", "action") or name.startswith("on"):
                self.asks.append((tag, name, value))
            if name in ("href", "xlink:href") and not value.startswith("#"):
                self.asks.append((tag, name, value))


def test_the_page_needs_no_network_and_no_script(build):
    page = render(gather(build))
    markup = Markup(page)
    assert markup.asks == []
    assert not {"script", "link", "iframe", "img", "object"} & set(markup.elements)
    assert not re.search(r"@import|url\(", page)
    assert markup.elements.count("svg") >= 6


def test_text_of_results_is_no_markup(build):
    page = render(gather(build))
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;") >= 4
    assert "b" not in Markup(page).elements


MEASURE = """<!doctype html><meta charset="utf-8"><body style="margin:0">
<iframe width="390" height="844" style="border:0" srcdoc="{page}"></iframe><script>
const frame = document.querySelector("iframe");
frame.onload = () => {{
  const root = frame.contentDocument.documentElement;
  const figures = [...frame.contentDocument.querySelectorAll("svg")];
  const bars = [...frame.contentDocument.querySelectorAll("svg rect + rect")];
  document.body.dataset.found = JSON.stringify({{
    width: root.scrollWidth, window: root.clientWidth,
    figures: figures.map(f => [f.getBoundingClientRect().width, f.getBoundingClientRect().height]),
    colors: [...new Set(bars.map(bar => getComputedStyle(bar).fill))],
    asked: frame.contentWindow.performance.getEntriesByType("resource").map(entry => entry.name),
  }});
}};
</script>"""

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_the_page_fits_a_phone(build, tmp_path):
    host = tmp_path / "host.html"
    page = render(gather(build))
    host.write_text(MEASURE.format(page=html.escape(page, quote=True)))
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    shown = subprocess.run(
        [CHROMIUM, *FLAGS, profile, "--virtual-time-budget=5000", "--dump-dom", host.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    [told] = re.findall(r'data-found="([^"]*)"', shown.stdout)
    found = json.loads(html.unescape(told))
    assert found["window"] <= 390
    assert found["width"] <= found["window"]
    assert found["asked"] == []
    assert len(found["figures"]) == page.count("<svg") >= 6
    assert all(width > 100 and height > 5 for width, height in found["figures"])
    assert len(found["colors"]) >= 5
