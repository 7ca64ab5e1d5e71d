"""Mutants of the tile: they are made, killed, and told from what is equivalent."""

import dataclasses
import itertools
import json
import re

import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.rtl.parameters import TileParameters
from adq.rtl.tile import Tile
from adq.verif.signoff.mutation import campaign, induction
from adq.verif.signoff.mutation.aiger import Aig
from adq.verif.signoff.mutation.equivalence import Equivalence, Verdict
from adq.verif.signoff.mutation.guards import Guards
from adq.verif.signoff.mutation.lemmas import lemmas
from adq.verif.signoff.mutation.mutants import FlatDesign, Mutant, MutantError

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
    with pytest.raises(MutantError, match=r"no mutant in a part 'shift': parts are tile, .*feeder"):
        design.mutants(5, seed=1, only="shift")


def evaluate(aig: Aig, inputs: dict[str, int], state: list[int]) -> tuple[list[int], list[int]]:
    """Outputs and next state of a circuit."""
    values = [0, *(inputs[name] for name in aig.inputs), *state]

    def of(literal):
        return values[literal >> 1] ^ (literal & 1)

    for high, low in aig.ands:
        values.append(of(high) & of(low))
    return [of(output) for output in aig.outputs.values()], [
        of(following) for following, _ in aig.latches
    ]


def test_a_constant_input_leaves_the_circuit_that_it_selects():
    # s ? a ^ q : a & ~q, and q follows a | s; variables 1 to 3 are inputs, 4 is the latch.
    s, a, b, q = 2, 4, 6, 8
    ands = [
        (q, a), (q + 1, a + 1), (12 + 1, 10 + 1), (14, s), (q + 1, a), (18, s + 1),
        (20 + 1, 16 + 1), (a + 1, s + 1), (24, b),
    ]  # fmt: skip
    whole = Aig(("s", "a", "b"), [(24 + 1, 0)], {"y": 22 + 1, "z": 26}, ands, {})
    assert Aig.read(whole.write()) == whole
    for selected in (0, 1):
        chosen = whole.with_inputs({"s": selected})
        assert chosen.inputs == ("a", "b")
        assert len(chosen.ands) < len(whole.ands)
        assert Aig.read(chosen.write()) == chosen
        for values in itertools.product((0, 1), repeat=3):
            inputs, state = dict(zip("ab", values, strict=False)), [values[2]]
            expected = evaluate(whole, inputs | {"s": selected}, state)
            assert evaluate(chosen, inputs, state) == expected


def test_long_numbers_survive_writing():
    ands = [(4, 2)] + [(2 * variable, 2) for variable in range(3, 400)]
    aig = Aig(("first", "second[3]"), [], {"y": 798}, ands, {})
    assert Aig.read(aig.write()) == aig


def test_a_merged_circuit_computes_the_same_while_merged_latches_are_the_same():
    # Latches 3 and 4 both take on a & b, one as ~(~a | ~b); 5 the inverse of 3. Output: 3 & ~4 | 5.
    a, b, p, q, r = 2, 4, 6, 8, 10
    ands = [(b, a), (b, a), (q + 1, p), (r + 1, 16 + 1)]
    whole = Aig(("a", "b"), [(12, 0), (14, 0), (p + 1, 0)], {"y": 18 + 1}, ands, {})
    merged = whole.merged({1: 0})
    assert merged.latches[0][0] == merged.latches[1][0]
    small = merged.pruned()
    assert (len(small.latches), len(small.ands)) == (2, 1)
    for values in itertools.product((0, 1), repeat=4):
        inputs, (same, other) = dict(zip("ab", values, strict=False)), values[2:]
        outputs, after = evaluate(whole, inputs, [same, same, other])
        assert evaluate(merged, inputs, [same, 1 - same, other])[0] == outputs
        assert evaluate(small, inputs, [same, other]) == (outputs, [after[0], after[2]])


def test_a_tile_equals_itself_and_no_tile_with_an_inverted_counter(design, tmp_path):
    [wrong] = [
        mutant
        for mutant in design.mutants(200, seed=1, only="counters")
        if mutant.mode == "inv" and re.search(r"\.Q\[\d+\] counters\.", mutant.place)
    ][:1]
    wrong = dataclasses.replace(wrong, number=1)
    none = dataclasses.replace(wrong, number=0)
    for seconds in (0, 60):  # by induction, and by ABC
        equivalence = Equivalence(design, [wrong], tmp_path, seconds=seconds)
        [(number, verdict, reason)] = equivalence.verdicts(1)
        assert (number, verdict) == (1, Verdict.DIFFERS), reason
        equivalence.mutants = [none]
        assert [verdict for _, verdict, _ in equivalence.verdicts(1)] == [Verdict.EQUAL]


def test_what_differs_late_is_not_proved_equal(tmp_path):
    """The highest bit of a counter, stuck: told from the tile after 512 cycles, and not before."""
    tile = FlatDesign(Tile(campaign.TILE), "tile")
    highest = campaign.TILE.counter_bits - 1
    stuck = next(
        mutant
        for mutant in tile.mutants(200, seed=2, only="counters")
        if mutant.register.endswith(f"[{highest}]") and mutant.mode == "const0"
    )
    number, verdict, reason = Equivalence(tile, [stuck], tmp_path, seconds=0).verdict(stuck.number)
    assert (number, verdict) == (stuck.number, Verdict.UNDECIDED), reason


def test_every_register_of_lemmas_and_guards_is_there_and_lemmas_hold(tmp_path):
    tile = FlatDesign(Tile(campaign.TILE), "tile")
    proofs = Equivalence(tile, tile.mutants(1, seed=1), tmp_path, seconds=0).induction
    said = [clause for clauses in lemmas(campaign.TILE).values() for clause in clauses]
    assert sum(map(len, proofs.lemmas.values())) == len(said) > 300
    assert len(proofs.guards) == len(Guards(campaign.TILE).all)


def test_mutants_that_take_the_names_of_registers_leave_them_known(tmp_path):
    tile = FlatDesign(Tile(campaign.TILE), "tile")
    mutants = tile.mutants(300, seed=3)
    taken = [mutant for mutant in mutants if mutant.register]
    assert len(taken) > 20
    proofs = Equivalence(tile, mutants, tmp_path, seconds=0).induction
    said = sum(map(len, lemmas(campaign.TILE).values()))
    assert sum(map(len, proofs.lemmas.values())) == said
    names = {name.removesuffix("[0]") for name in proofs.registers}
    for mutant in taken:
        assert f"right.{mutant.register}".removesuffix("[0]") in names
        assert f"changed.{mutant.register}".removesuffix("[0]") in names


def test_registers_behind_mutants_keep_what_they_start_from(tmp_path):
    """Row lines start from 1; of a register that nothing reads there is nothing to keep."""
    tile = FlatDesign(Tile(campaign.TILE), "tile")
    row_line = next(
        mutant
        for mutant in tile.mutants(60, seed=1, only="weight_array")
        if mutant.register.startswith("weight_array.row_lines_")
    )
    unread = next(
        mutant
        for mutant in tile.mutants(200, seed=1, only="shift_add.collector.result_register")
        if mutant.register.endswith(".weight_bits[0]")
    )
    registers = Equivalence(tile, [row_line, unread], tmp_path, seconds=0).induction.registers
    _, inverted = registers[f"right.{row_line.register}"]
    assert inverted
    assert f"right.{unread.register}" not in registers


def test_a_lemma_that_does_not_hold_is_named(design, tmp_path, monkeypatch):
    false = {"a vector is never the last": [("~plane_tag.last_vector",)]}
    monkeypatch.setattr(induction, "lemmas", lambda parameters: false)
    with pytest.raises(MutantError, match="lemma not inductive: a vector is never the last"):
        Equivalence(design, design.mutants(1, seed=1), tmp_path, seconds=0)


def adq(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def lines_of(outcome):
    """What simulations would say, the same of every mutant."""

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
    monkeypatch.setattr(campaign, "TILE", TINY)
    monkeypatch.setattr(campaign.Campaign, "build", lambda self: None)

    def tell(outcome):
        monkeypatch.setattr(campaign, "run_batches", lines_of(outcome))

    return tell


def test_a_survivor_is_shown_at_its_line(unsimulated, monkeypatch, tmp_path):
    unsimulated({})
    monkeypatch.setattr(campaign, "SEARCH", 3)
    told = adq("dev", "mutate", "--count", 2, "--only", "feeder", "--out", tmp_path)
    summary = json.loads((tmp_path / "mutation.json").read_text())
    assert told.exit_code == 1, told.output
    alive = summary["survived"] + summary["undecided"]
    assert alive
    assert summary["killed"] == 0
    assert alive + summary["equivalent"] == 2
    assert "rtl/pim_tile/feeder.py:" in told.output
    assert f"0 of {alive} mutants that are not equivalent killed" in told.output


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


def test_mutants_are_killed_in_simulation(monkeypatch, tmp_path):
    monkeypatch.setattr(campaign, "TILE", TINY)
    monkeypatch.setattr(campaign, "SEARCH", 1)
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
