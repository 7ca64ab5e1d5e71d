"""Counts of every net by window, against a waveform of the same run, and against features."""

import io
import re
from collections import Counter

import numpy as np
import pytest
from vcd.reader import TokenKind, tokenize

from adq.rtl.parameters import TileParameters
from adq.verif.operands.features import features_of
from adq.verif.operands.jobs import Job, random_job
from adq.verif.simulation.harness import build_harness
from adq.verif.simulation.simulator import SimulationError
from adq.verif.simulation.switching.net_counters import INPUTS, WINDOWS
from adq.verif.simulation.switching.saif import read_saif, write_saif
from adq.verif.simulation.switching.windows import check_sums, count_jobs, saif_of, window_sums
from tests.places import MODELS

pytestmark = pytest.mark.testpoint(
    reason="Switching, how it is counted and what it takes: figures about the design."
)

TILE = TileParameters(rows=5, columns=16, row_blocks=4, partial_sums=4)
SEED = 6
RESULTS = ("shift_add", "collector", "result_register")
ARRAY = ("row lines", "AND plane", "column adders", "fusing", "accumulators")


@pytest.fixture(scope="module")
def harness():
    return build_harness(TILE, MODELS, nets=True, waves=True)


def some_jobs() -> list[Job]:
    rng = np.random.default_rng(SEED)
    shapes = ((2, 3, 4, 3, 0.5), (16, 5, 3, 2, 0.3), (8, 1, 4, 1, 0.4), (4, 4, 2, 4, 0.2))
    return [
        random_job(
            TILE,
            rng,
            weight_bits=weight_bits,
            activation_bits=activation_bits,
            signed=weight_bits > 4,
            vectors=vectors,
            row_blocks=row_blocks,
            density=density,
        )
        for weight_bits, activation_bits, vectors, row_blocks, density in shapes
    ]


@pytest.fixture(scope="module")
def separate(harness, tmp_path_factory):
    """Windows of a run, and the folder with its waveform."""
    folder = tmp_path_factory.mktemp("separate")
    counts = count_jobs(*harness, TILE, some_jobs(), directory=folder, waves=True)
    return counts, folder


def counts_of_waveform(path, nets) -> dict[str, tuple[int, Counter, Counter]]:
    """Cycles, toggles and cycles at one of every net, by window, from a VCD alone.

    A cycle ends at the clock's edge: what changes at an edge belongs to the cycle behind it.
    """
    names: dict[str, list[tuple[str, int]]] = {}  # id code -> names, widths
    scope, harness_names = [], {}
    values: dict[str, str] = {}
    windows = {w: [0, Counter(), Counter()] for w in range(len(WINDOWS))}
    pending: Counter = Counter()
    changes: dict[str, str] = {}

    def end_of_time():
        """Apply the changes of a moment; count the cycle that ends there."""
        clock = harness_names["clk"]
        if changes.get(clock) == "1" and values.get(clock) == "0":
            cycles = windows[int(values[harness_names["window"]], 2)]
            cycles[0] += 1
            cycles[1].update(pending)
            for code, value in values.items():
                cycles[2].update((code, i) for i, bit in enumerate(value[::-1]) if bit == "1")
            pending.clear()
        for code, value in changes.items():
            before = values.get(code, value)
            pending.update(
                (code, i)
                for i, (a, b) in enumerate(zip(before[::-1], value[::-1], strict=True))
                if a != b
            )
            values[code] = value
        changes.clear()

    widths: dict[str, int] = {}
    # Names that begin like a keyword: Verilator's of its outermost scope, and Amaranth's own.
    text = re.sub(rb"(\$scope module |\$var wire \d+ \S+ )\$", rb"\1", path.read_bytes())
    text = re.sub(rb"(\$var wire \d+ \S+ \S+)\.\$", rb"\1.", text)
    for token in tokenize(io.BytesIO(text)):
        match token.kind:
            case TokenKind.SCOPE:
                scope.append(token.scope.ident)
            case TokenKind.UPSCOPE:
                scope.pop()
            case TokenKind.VAR:
                name, code = token.var.reference, token.var.id_code
                if isinstance(token.var.bit_index, int):  # a part of the name
                    name += f"[{token.var.bit_index}]"
                widths[code] = token.var.size
                if scope[-1] == "tile":
                    names.setdefault(code, []).append(name)
                elif scope[-1] == "tile_harness":
                    harness_names[name] = code
            case TokenKind.CHANGE_TIME:
                end_of_time()
            case TokenKind.CHANGE_SCALAR:
                changes[token.scalar_change.id_code] = token.scalar_change.value
            case TokenKind.CHANGE_VECTOR:
                code, value = token.vector_change.id_code, token.vector_change.value
                bits = f"{value:b}" if isinstance(value, int) else value
                changes[code] = bits.zfill(widths[code])
    end_of_time()

    codes = {name: code for code, aliases in names.items() for name in aliases}
    result = {}
    for window, title in enumerate(WINDOWS):
        cycles, toggles, high = windows[window]
        found = {}
        for net in nets:
            name, index = re.fullmatch(r"(.*?)(?:\[(\d+)\])?", ".".join(net)).groups()
            candidates = [(name, int(index or 0)), (".".join(net), 0)]
            code, bit = next((codes[n], i) for n, i in candidates if n in codes)
            found[net] = (toggles[code, bit], high[code, bit])
        result[title] = (cycles, found)
    return result


def test_every_net_counts_as_in_the_waveform(separate, harness):
    counts, folder = separate
    _, design = harness
    nets = design.nets.blocks
    assert len(nets) == design.named
    waveform = counts_of_waveform(folder / "dump.vcd", nets)
    for window in ("reset", "load", "compute"):
        cycles, by_net = waveform[window]
        assert counts[window].cycles == cycles > 0
        assert {n: (counts[window].toggles[n], counts[window].high[n]) for n in nets} == by_net


def test_saif_holds_the_counts_of_every_net(separate, harness, tmp_path):
    counts = separate[0]["compute"]
    path = tmp_path / "compute.saif"
    write_saif(path, saif_of(counts, design="tile"))
    saif = read_saif(path, design="tile", nets={*harness[1].nets.blocks, ("clk",)})
    assert saif.duration == 2 * counts.cycles
    assert saif.nets[("clk",)].toggles == 2 * counts.cycles
    assert all(saif.nets[net].toggles == toggles for net, toggles in counts.toggles.items())
    assert all(saif.nets[net].high == 2 * high for net, high in counts.high.items())


def test_sums_of_blocks_are_those_of_all_nets(separate, harness):
    for counts in separate[0].values():
        sums = window_sums(harness[1], counts)
        flat = sum(counts.toggles.values())
        assert sum(block["toggles"] for block in sums.values()) == flat
    windows = {"compute": {"blocks": {"storage": {"toggles": 3}}}}
    check_sums("conv", windows, {"storage": {"toggles": 3}})
    with pytest.raises(SimulationError, match="conv: the nets of storage toggle 3 times, the bl"):
        check_sums("conv", windows, {"storage": {"toggles": 4}})


def test_nothing_computes_while_weights_load(separate, harness):
    load = window_sums(harness[1], separate[0]["load"])
    assert all(load[block] == {"toggles": 0, "clocked": 0} for block in ARRAY)
    assert load["storage"]["toggles"] > 0
    compute = window_sums(harness[1], separate[0]["compute"])
    assert compute["storage"]["toggles"] < load["storage"]["toggles"] / 5


def test_idle_and_reset_toggle_nothing_but_the_counter_of_idle_cycles(separate, harness):
    for window in ("idle", "reset"):
        sums = window_sums(harness[1], separate[0][window])
        assert all(s["toggles"] == 0 for block, s in sums.items() if block != "control")


def test_activations_of_zero_toggle_nothing_in_array_and_adders(harness, tmp_path):
    rng = np.random.default_rng(SEED)
    job = random_job(
        TILE, rng, weight_bits=8, activation_bits=4, signed=False, vectors=4, row_blocks=2,
        density=0.0,
    )  # fmt: skip
    counts = count_jobs(*harness, TILE, [job], directory=tmp_path)
    sums = window_sums(harness[1], counts["compute"])
    assert counts["compute"].cycles > 8
    assert all(sums[block]["toggles"] == 0 for block in ("row lines", "AND plane", "column adders"))
    assert features_of(TILE, [job])["adder_toggles"] == 0


def of(counts, *instances: str, start: str) -> int:
    """Toggles of nets of an instance whose names begin so."""
    return sum(
        toggles
        for net, toggles in counts.toggles.items()
        if net[:-1] == instances and net[-1].startswith(start)
    )


def test_features_are_what_the_tile_does(harness, tmp_path):
    """Loading and computing at the same time, as in any run."""
    jobs = some_jobs()
    design = harness[1]
    counts = count_jobs(*harness, TILE, jobs, directory=tmp_path, separate=False)
    compute, features = counts["compute"], features_of(TILE, jobs)
    sums = window_sums(design, compute)
    assert counts["load"].cycles == 0
    assert compute.cycles == features["cycles"] + 3  # and what trails
    assert sums["row lines"]["toggles"] == features["line_toggles"]
    assert sums["AND plane"]["toggles"] == features["product_toggles"]
    assert sums["column adders"]["toggles"] == features["adder_toggles"]
    assert sums["fusing"]["clocked"] == features["fused_bits"]
    assert sums["feeder"]["clocked"] >= features["vector_bits"]
    assert of(compute, "feeder", start="vector_") == features["vector_toggles"]
    stored = [of(compute, "weight_array", start=f"weights_{bank}_") for bank in range(2)]
    assert sum(stored) == features["storage_toggles"]
    assert of(compute, "weight_array", start="beat[") == features["beat_toggles"]
    accumulated = [f"accumulator_{n}" for n in TILE.weight_widths]
    assert features["accumulator_toggles"] == sum(
        of(compute, "shift_add", accumulator, start="acc_") for accumulator in accumulated
    )
    assert features["result_toggles"] == sum(
        of(compute, *RESULTS, start=register) for register in ("low_", "total_")
    )


@pytest.mark.parametrize("weight_bits", TILE.weight_widths)
def test_features_of_results_are_what_the_tile_does(harness, tmp_path, weight_bits):
    """Vectors of any number of planes, one after the other, over two blocks of weights."""
    rng = np.random.default_rng([SEED, weight_bits])
    job = random_job(
        TILE, rng, weight_bits=weight_bits, activation_bits=16, signed=True, vectors=4, row_blocks=2
    )
    words = np.asarray(job.activations) >> rng.integers(0, 16, (2, 4, 1))
    job = Job(weight_bits, 16, True, job.weights, words)
    counts = count_jobs(*harness, TILE, [job], directory=tmp_path, separate=False)
    placed = of(counts["compute"], *RESULTS, start="placed_")
    assert features_of(TILE, [job])["placed_toggles"] == placed > 0


def test_inputs_stand_apart(harness):
    design = harness[1]
    inputs = {net for net, block in design.nets.blocks.items() if block == INPUTS}
    assert ("weights__payload[0]",) in inputs
    assert ("clk",) not in inputs
    assert not any(net[-1].startswith("$") for net in design.nets.blocks)
