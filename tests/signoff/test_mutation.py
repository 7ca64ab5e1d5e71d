"""Mutants of the tile: they are made, killed, and told from what is equivalent."""

import dataclasses
import itertools
import json

import pytest
from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from typer.testing import CliRunner

from adq.cli import main
from adq.rtl.parameters import TileParameters
from adq.rtl.tile import Tile
from adq.verif.abc import Answer
from adq.verif.signoff.mutation import campaign, designs
from adq.verif.signoff.mutation.contract import Contract
from adq.verif.signoff.mutation.equivalence import Equivalence
from adq.verif.signoff.mutation.mutants import FlatDesign, Mutant, MutantError
from adq.verif.signoff.regression.runs import PLATFORM_BLOCKS
from adq.verif.signoff.regression.workbench import Workbench

pytestmark = pytest.mark.testpoint(
    reason="They hold the measures of the tests and of the design to what they say."
)

TINY = TileParameters(rows=1, columns=16, row_blocks=1, partial_sums=0, vectors=2, counter_bits=8)


@pytest.fixture(scope="module")
def design():
    return FlatDesign(Tile(TINY), "tile")


def test_mutants_follow_from_the_seed_and_name_lines_of_the_hardware(design):
    mutants = design.mutants(60, seed=1)
    assert [mutant.number for mutant in mutants] == list(range(1, 61))
    assert mutants == design.mutants(60, seed=1)
    assert mutants != design.mutants(60, seed=2)
    assert {mutant.part for mutant in mutants} <= set(design.parts)
    assert len({mutant.mode for mutant in mutants}) == 5
    sources = [source for mutant in mutants for source in mutant.sources]
    assert len(sources) > 50
    assert sum(source.startswith("rtl/") for source in sources) > 0.9 * len(sources)


def test_mutants_of_one_part(design):
    mutants = design.mutants(20, seed=1, only="shift_add.fuser")
    assert [mutant.part for mutant in mutants] == ["shift_add.fuser"] * 20
    inside = design.mutants(20, seed=1, only="shift_add")
    assert len({mutant.part for mutant in inside}) > 2
    with pytest.raises(MutantError, match=r"no part 'shift': parts are tile, .*feeder"):
        design.mutants(5, seed=1, only="shift")


class Counter(wiring.Component):
    """Counts when enabled; while the count is 15 it offers a beat with the count.

    Beside it runs a second counter, and the beat holds 0 where the two differ, which is never.
    """

    def __init__(self):
        super().__init__({"enable": In(1), "beats": Out(stream.Signature(4))})

    def elaborate(self, platform):
        m = Module()
        count, second, same = Signal(4), Signal(4), Signal()
        with m.If(self.enable):
            m.d.sync += [count.eq(count + 1), second.eq(second + 1)]
        m.d.comb += [
            same.eq(second == count),
            self.beats.valid.eq(count == 15),
            self.beats.payload.eq(Mux(same, count, 0)),
        ]
        return m


@pytest.mark.parametrize(
    ("wire", "mode", "expected", "said"),
    [
        ("same[0]", "const1", Answer.NEVER, "no input tells it from the design"),
        (
            "same[0]",
            "const0",
            Answer.FAILS,
            "outputs can differ in cycle 16, the first being a reset",
        ),
        # A payload that is not valid counts for nothing, and a valid one is 15.
        ("beats__payload[1]", "const1", Answer.NEVER, "no input tells it from the design"),
        (
            "beats__payload[1]",
            "inv",
            Answer.FAILS,
            "outputs can differ in cycle 16, the first being a reset",
        ),
    ],
)
def test_a_mutant_is_told_from_its_design_or_proved_equal(tmp_path, wire, mode, expected, said):
    counter = FlatDesign(Counter(), "counter")
    drawn = counter.mutants(100, seed=1)
    there = next(m for m in drawn if m.place.endswith(f" {wire}") and "-ctrlbit" not in m.arguments)
    mutant = dataclasses.replace(there, mode=mode)
    equivalence = Equivalence(counter, tmp_path, seconds=20)
    assert [*equivalence.answers([mutant], threads=1)] == [(mutant, expected, said)]


def never_enabled_again(m, inputs, outputs):
    """The counter is enabled once, in any cycle."""
    enabled = Signal()
    m.d.sync += enabled.eq(enabled | inputs["enable"])
    return Contract(kept=~(enabled & inputs["enable"]))


def low_bits_of_the_beat(m, inputs, outputs):
    """Only the two low bits of a beat carry a value, in a cycle in which the counter is enabled."""
    enabled = inputs["enable"].replicate(2)
    return Contract(masks={"beats__payload": Cat(enabled, Const(0, 2))})


@pytest.mark.parametrize(
    ("wire", "contract", "expected"),
    [
        ("beats__valid", never_enabled_again, Answer.FAILS),
        ("beats__payload[2]", never_enabled_again, Answer.NEVER),
        ("beats__payload[2]", low_bits_of_the_beat, Answer.NEVER),
        ("beats__payload[1]", low_bits_of_the_beat, Answer.FAILS),
    ],
)
def test_a_contract_says_what_counts(tmp_path, wire, contract, expected):
    """Each wire is inverted: valid is seen at once, a bit of a beat after 15 counts."""
    counter = FlatDesign(Counter(), "counter")
    drawn = counter.mutants(100, seed=1)
    there = next(
        m
        for m in drawn
        if m.place.split()[-1].removesuffix("[0]") == wire and "-ctrlbit" not in m.arguments
    )
    mutant = dataclasses.replace(there, mode="inv")
    equivalence = Equivalence(counter, tmp_path, seconds=20, contract=contract)
    [(_, answer, _)] = equivalence.answers([mutant], threads=1)
    assert answer == expected


@pytest.mark.parametrize("block", ["first", "second"])
def test_outputs_of_the_block_of_a_mutant_are_compared(tmp_path, block):
    """The design is named as one of its blocks: the block of that cell is not told by its part."""
    bench = FlatDesign(Workbench({"first": Counter(), "second": Counter()}), "second")
    drawn = bench.mutants(200, seed=1)
    there = next(m for m in drawn if m.part == block and " beats__valid" in m.place)
    mutant = dataclasses.replace(there, mode="inv")
    [(_, answer, _)] = Equivalence(bench, tmp_path, seconds=20).answers([mutant], threads=1)
    assert answer == Answer.FAILS


@pytest.mark.parametrize(
    ("name", "output"),
    [("walker", "fetch["), pytest.param("conductor", "walk[", marks=pytest.mark.slow)],
)
def test_contracts_of_blocks_do_not_forbid_all_layers(tmp_path, name, output):
    """A setting or an address that is inverted is not proved equal: a layer can show it."""
    made = designs.DESIGNS[name]()
    flat = FlatDesign(made.component(), made.name)
    drawn = flat.mutants(2000, seed=1)
    there = next(m for m in drawn if m.place.split()[-1].startswith(output))
    mutant = dataclasses.replace(there, mode="inv")
    equivalence = Equivalence(flat, tmp_path, seconds=2, contract=made.contract)
    [(_, answer, _)] = equivalence.answers([mutant], threads=1)
    assert answer != Answer.NEVER


def test_a_proof_without_time_is_undecided(design, tmp_path):
    [mutant] = design.mutants(1, seed=1)
    [(_, answer, said)] = Equivalence(design, tmp_path, seconds=0).answers([mutant], threads=1)
    assert (answer, said) == (Answer.UNDECIDED, "no answer within 0 s of a processor")


def test_a_circuit_that_takes_too_long_is_undecided(design, tmp_path, monkeypatch):
    monkeypatch.setattr("adq.verif.signoff.mutation.equivalence.CIRCUIT_SECONDS", 0)
    [mutant] = design.mutants(1, seed=1)
    [(_, answer, said)] = Equivalence(design, tmp_path, seconds=20).answers([mutant], threads=1)
    assert (answer, said) == (Answer.UNDECIDED, "no circuit within 0 s of a processor")


def adq(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def lines_of(outcome):
    """Return a stand-in for ``run_batches`` that gives every mutant the same outcome."""

    def run(model, module, batches, **given):
        for batch in batches:
            for number in batch["mutants"]:
                line = {"mutant": number, "killed_by": None, "message": ""}
                if number == 0 and batch["limits"] is None:
                    line["times"] = {f"test_{n}": 100.0 for n in range(10)}
                yield line | (outcome if number else {})

    return run


@pytest.fixture
def unsimulated(monkeypatch):
    """A campaign that builds no model and is told what happens in simulation."""
    monkeypatch.setitem(designs.DESIGNS, "tile", lambda: designs.tile_design(TINY))
    monkeypatch.setattr(campaign.Campaign, "build", lambda self: None)

    def tell(outcome):
        monkeypatch.setattr(campaign, "run_batches", lines_of(outcome))

    return tell


def test_an_undecided_mutant_is_shown_at_its_line(unsimulated, monkeypatch, tmp_path):
    unsimulated({})
    monkeypatch.setattr(campaign, "SECONDS", 0)
    told = adq("dev", "mutate", "--count", 2, "--only", "feeder", "--out", tmp_path)
    summary = json.loads((tmp_path / "mutation.json").read_text())
    assert told.exit_code == 1, told.output
    assert (summary["killed"], summary["equal"], summary["undecided"]) == (0, 0, 2)
    assert "rtl/pim_tile/feeder.py:" in told.output
    assert "0 killed, 0 proved equal, 2 undecided: 0.0% of those" in told.output


def test_an_interrupted_campaign_goes_on(unsimulated, monkeypatch, tmp_path):
    unsimulated({"killed_by": "tile.some_test", "message": "wrong"})
    whole = lines_of({"killed_by": "tile.some_test", "message": "wrong"})

    def broken(model, module, batches, **given):
        lines = whole(model, module, batches, **given)
        yield from itertools.islice(lines, 1 if batches == [batches[0]] and not broken.hot else 3)
        if broken.hot:
            raise KeyboardInterrupt
        broken.hot = True

    broken.hot = False
    monkeypatch.setattr(campaign, "run_batches", broken)
    assert adq("dev", "mutate", "--count", 5, "--out", tmp_path).exit_code == 130
    assert not (tmp_path / "mutation.json").exists()
    with (tmp_path / "outcomes.jsonl").open("a") as file:
        file.write('{"mutant": 4, "kil')  # as a power cut leaves it

    put = []

    def rest(model, module, batches, **given):
        put.extend(batch["mutants"] for batch in batches)
        return whole(model, module, batches, **given)

    monkeypatch.setattr(campaign, "run_batches", rest)
    assert adq("dev", "mutate", "--count", 5, "--out", tmp_path).exit_code == 0
    assert put == [[0], [4, 5, 0]]
    summary = json.loads((tmp_path / "mutation.json").read_text())
    assert (summary["killed"], summary["score"]) == (5, 1)
    assert {mutant["killed_by"] for mutant in summary["mutants"]} == {"tile.some_test"}


def test_tests_that_fail_without_a_mutant_are_an_error(unsimulated, monkeypatch, tmp_path):
    unsimulated({})
    failed = {"mutant": 0, "killed_by": "tile.broken", "message": "no beat"}
    monkeypatch.setattr(campaign, "run_batches", lambda *_, **__: iter([failed]))
    told = adq("dev", "mutate", "--count", 2, "--out", tmp_path)
    assert told.exit_code == 2
    assert "tile.broken fails where no mutant is active: no beat" in told.stderr


@pytest.mark.slow
def test_mutants_are_killed_in_simulation(monkeypatch, tmp_path):
    monkeypatch.setitem(designs.DESIGNS, "tile", lambda: designs.tile_design(TINY))
    monkeypatch.setattr(campaign, "SECONDS", 1)
    # With it cocotb ends the process where a mutant fails its test.
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    told = adq("dev", "mutate", "--count", 6, "--only", "feeder", "--out", tmp_path)
    summary = json.loads((tmp_path / "mutation.json").read_text())
    killed = [mutant for mutant in summary["mutants"] if mutant["fate"] == "killed"]
    assert len(killed) >= 3, told.output
    for mutant in killed:
        assert mutant["killed_by"].startswith("adq.verif.cocotb.tile.test_tile.")
        assert mutant["detail"]
    assert not list(tmp_path.glob("batch-*"))


def test_a_mutant_says_how_it_is_made():
    mutant = Mutant(
        3, "inv", "feeder", "-cell $1 -port A -portbit 0", "$1.A[0]", ("rtl/tile.py:1",)
    )
    assert mutant.command == "mutate -mode inv -cell $1 -port A -portbit 0"
    assert mutant.as_dict()["sources"] == ("rtl/tile.py:1",)


@pytest.mark.slow
def test_parts_of_the_engine_can_be_mutated(unsimulated, tmp_path):
    unsimulated({"killed_by": "engine.any_layers", "message": "wrong"})
    which = ("--design", "engine", "--only", "unit_0_0.drain_0")
    told = adq("dev", "mutate", *which, "--count", 3, "--out", tmp_path)
    assert told.exit_code == 0, told.output
    summary = json.loads((tmp_path / "mutation.json").read_text())
    assert (summary["design"], summary["sizes"]["stack"]) == ("engine", 2)
    assert all(mutant["part"].startswith("unit_0_0.drain_0") for mutant in summary["mutants"])
    assert {mutant["killed_by"] for mutant in summary["mutants"]} == {"engine.any_layers"}


def test_a_design_that_is_none(tmp_path):
    told = adq("dev", "mutate", "--design", "platform", "--out", tmp_path)
    assert told.exit_code == 2
    assert "platform is no design: choose one of tile" in told.stderr


def test_every_block_of_the_platform_that_has_a_bench_can_be_mutated():
    assert set(designs.DESIGNS) == {"tile", "engine", *PLATFORM_BLOCKS}
