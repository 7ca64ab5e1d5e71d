"""Coverage: bins of jobs, and points of coverage.dat at Amaranth's sources."""

import inspect
import itertools
from collections import Counter

import pytest

from adq.golden import integer_network
from adq.golden.artifact import read_artifact
from adq.golden.mapping import mapper
from adq.rtl.parameters import TileParameters
from adq.rtl.pim_tile import feeder
from adq.verif.operands.jobs import layer_jobs
from adq.verif.signoff.coverage.marking import marked_verilog
from adq.verif.signoff.coverage.structural import Point, read_points, tabulate
from adq.verif.signoff.plan.testplan import ROOT, Exclusion, read_plan
from adq.verif.simulation import functional_coverage
from adq.verif.simulation.functional_coverage import GROUPS, JobSample
from adq.verif.simulation.simulator import waived

pytestmark = pytest.mark.testpoint("coverage.counted")


def test_names_of_bins_are_unique():
    names = list(functional_coverage.bin_names())
    assert len(names) == len(set(names)) == sum(len(group.bins()) for group in GROUPS.values())
    assert len(GROUPS["precision"].bins()) == 4 * 16 * 2
    assert len(GROUPS["job"].bins()) == 4 * 5 * 2 * 3 * 2 * 2


def test_all_jobs_that_may_come_reach_every_bin_of_jobs():
    hits = Counter()
    for kw, kx, signed, nonzero, vectors, blocks, late, waiting, before in itertools.product(
        (2, 4, 8, 16), range(1, 17), (False, True), (0.0, 0.1, 1.0), (1, 9), (1, 2, 7),
        (False, True), (False, True), (None, 2, 4, 8, 16),
    ):  # fmt: skip
        sample = JobSample(
            weight_bits=kw,
            activation_bits=kx,
            signed=signed,
            nonzero=nonzero,
            vectors=vectors,
            row_blocks=blocks,
            late=late,
            waiting=waiting,
            before=before,
        )
        hits.update(sample.bins())
    assert set(hits) <= set(functional_coverage.bin_names())
    missing = {group["name"]: group["missing"] for group in functional_coverage.report(hits)}
    assert [name for name, bins in missing.items() if bins] == ["refusal", "reset"]


def test_a_job_by_hand():
    sample = JobSample(
        weight_bits=8,
        activation_bits=5,
        signed=True,
        nonzero=0.25,
        vectors=3,
        row_blocks=2,
        waiting=True,
        before=16,
    )
    assert sample.bins() == [
        "precision 8x5 signed",
        "density 8 bits signed sparse",
        "shape 8 bits two blocks more vectors",
        "pressure 8 bits several blocks operands in time results waiting",
        "job 8x5-8 signed sparse several blocks results waiting",
        "change 8 after 16 bits",
    ]


def test_refusals_and_resets_are_bins():
    known = set(functional_coverage.bin_names())
    for waiting in (False, True):
        assert functional_coverage.refusal_bin("VECTORS", waiting=waiting) in known
    for moment, bits in itertools.product(functional_coverage.MOMENTS, (2, 16)):
        assert functional_coverage.reset_bin(moment, bits) in known


@pytest.mark.parametrize("network", read_plan().networks, ids=lambda network: network.artifact)
def test_vectors_of_shipped_networks_reach_what_the_plan_asks(network):
    """Jobs as the mapper makes them, on a tile of another size than the regression's."""
    artifact = read_artifact(ROOT / network.artifact)
    layers = artifact.network.matrix_layers
    outputs = integer_network.run(artifact.network, artifact.samples.inputs).outputs
    tile = TileParameters(rows=32, columns=48)
    hits = Counter()
    for layer in layers:
        read = outputs.get(layer.input, artifact.samples.inputs)
        matrix, weights = mapper.operands(artifact.network, layer.name, read)
        plan = mapper.plan_layer(artifact.network, layer.name, len(matrix), tile)
        jobs = list(layer_jobs(plan, matrix, weights))
        for before, job in itertools.pairwise([None, *jobs]):
            sample = JobSample.of(job, before=before and before.weight_bits)
            hits.update(sample.bins())
    assert network.missing(hits) == []
    assert network.missing([]) == list(network.bins)


def place_of(text: str) -> str:
    """Place of the only line of the feeder that has a text."""
    lines, first = inspect.getsourcelines(feeder)
    [number] = [n for n, line in enumerate(lines, max(first, 1)) if text in line]
    return f"rtl/pim_tile/feeder.py:{number}"


@pytest.fixture(scope="module")
def verilog():
    tile = TileParameters(rows=2, columns=16)
    return waived("feeder.v", marked_verilog(feeder.BitPlaneFeeder(tile), name="feeder"))


def line_of(verilog: str, text: str, *, behind: str = "") -> int:
    """Number of the first line with a text, behind the first one with another."""
    lines = verilog.splitlines()
    start = next(n for n, line in enumerate(lines) if behind in line)
    return next(n for n in range(start, len(lines)) if text in lines[n]) + 1


def entry(count: int, **keys) -> str:
    """A line of coverage.dat."""
    names = {"line": "l", "column": "n", "kind": "t", "comment": "o", "lines": "S", "hier": "h"}
    pairs = "".join(f"\1{names[name]}\2{value}" for name, value in keys.items())
    return f"C '\1f\2feeder.v{pairs}' {count}"


def points(tmp_path, verilog: str, *files: list[str]) -> Counter:
    paths = []
    for number, lines in enumerate(files):
        paths.append(tmp_path / f"{number}.dat")
        paths[-1].write_text("\n".join(["# SystemC::Coverage-3", *lines]) + "\n")
    return read_points("model", verilog, paths)


def test_every_case_has_a_mark_at_its_statement(verilog):
    places = [line.split(" ")[-1] for line in verilog.splitlines() if "// _mark" in line]
    assert places.count(place_of("self.loaded.eq(1)")) == 1
    # Signals have a process each: a statement that assigns two has a case in both.
    assert places.count(place_of("self.loaded.eq(0)")) == 2
    assert places.count(place_of("sync += plane.eq(")) == 16


def test_branches_and_lines_stand_at_their_statements(tmp_path, verilog):
    place = place_of("self.loaded.eq(1)")
    [mark] = [line.split()[-2] for line in verilog.splitlines() if line.endswith(place)]
    body = line_of(verilog, f"{mark} = 1'h1", behind="always")
    common = {"line": body - 1, "hier": "feeder"}
    counts = points(
        tmp_path,
        verilog,
        [
            entry(3, **common, column=5, kind="branch", comment="if", lines=f"{body - 1}-{body}"),
            entry(0, **common, column=6, kind="branch", comment="else"),
        ],
        [
            entry(4, **common, column=5, kind="branch", comment="if", lines=f"{body - 1}-{body}"),
            entry(0, **common, column=6, kind="branch", comment="else"),
        ],
    )
    assert counts == {
        Point("model ", "branch", f"{place}[0] taken", place): 7,
        Point("model ", "branch", f"{place}[0] not taken", place): 0,
        Point("model ", "line", place, place): 7,
    }


def test_toggles_stand_where_the_signal_is_made(tmp_path, verilog):
    number = line_of(verilog, "reg [3:0] highest")
    toggle = {"line": number, "column": 3, "kind": "toggle", "hier": "top.feeder"}
    counts = points(
        tmp_path,
        verilog,
        [entry(0, **toggle, comment="highest[3]:0->1")],
    )
    [point] = counts
    assert point.instance == "model feeder"
    assert point.name == "highest[3]:0->1"
    assert point.source == place_of("highest = Signal(")


def test_what_is_missing_is_excluded_with_a_reason_or_shown():
    hit, excluded, missing = (
        Point("model part", "toggle", name, "rtl/a.py:1") for name in ("a[0]:0->1", "b", "c")
    )
    exclusion = Exclusion(
        kind="toggle", instance="model .*", points=("a.*", "b"), reason="It stays."
    )
    unused = Exclusion(kind="line", instance=".*", points=(".*",), reason="None is missed.")
    table, shown, reasons, left = tabulate(
        Counter({hit: 2, excluded: 0, missing: 0}), [exclusion, unused]
    )
    assert table[0].totals["toggle"] == {"hit": 1, "total": 2, "excluded": 1}
    assert shown == [missing]
    assert reasons == [(excluded, "It stays.")]
    assert left == [unused]
