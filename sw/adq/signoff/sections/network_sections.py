"""Generated sections about networks: simulated, imported, explored, compared."""

import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from adq.signoff.kept import RESULTS, read_kept
from adq.signoff.markdown import markdown_table

__all__ = ["NETWORK_SECTIONS"]


def _demo() -> list[str]:
    """Return the cost of an image of each network of `make demo`, layer by layer."""
    kept = json.loads((RESULTS / "demo.json").read_text(encoding="utf-8"))
    headings = (
        *("network", "layer", "AD", "k", "kw x kx", "MACs", "cycles", "toggles"),
        *("pJ", "load pJ", "fJ/MAC", "predicted / counted"),
    )
    rows = []
    for cost in kept["costs"]:
        for layer in cost["layers"]:
            density = "-" if layer["density"] is None else f"{layer['density']:.3f}"
            names = [cost["name"], layer["name"], density, str(layer["bits"]), layer["precision"]]
            rows.append([*names, *_costs(layer), f"{1 + layer['difference']:.3f}"])
        total = cost["total"]
        counted = total["compute_pj"] + total["load_pj"]
        row = [cost["name"], "**total**", "", "", "", *_costs(total)]
        rows.append([*row, f"{total['predicted_pj'] / counted:.3f}"])
    mixed, uniform = (cost["total"] for cost in kept["costs"])
    fields = ("macs", "cycles", "toggles", "compute_pj", "load_pj", "fj_per_mac")
    ratios = [f"**{uniform[name] / mixed[name]:.2f}x**" for name in fields]
    rows.append(["**ratio**", "16bit / mixed", "", "", "", *ratios, ""])
    energy = kept["energy"]
    return [
        *markdown_table(headings, rows),
        "",
        f"{kept['images']} images, {kept['tile']} tile: {kept['accumulators']:,} accumulators, "
        f"{kept['mismatches']} mismatches. {energy['name']}, {energy['node']}. "
        f"{' '.join(energy['labels'])} k: bits as trained. kw x kx: weight and activation bits on "
        "the tile. pJ and fJ/MAC: computing; load pJ: loading weights. Left out: "
        f"{', '.join(energy['left_out'])}.",
    ]


def _costs(cost: Mapping[str, float]) -> list[str]:
    counts = [f"{cost[name]:,.0f}" for name in ("macs", "cycles", "toggles")]
    energies = [f"{cost[name]:,.0f}" for name in ("compute_pj", "load_pj")]
    return [*counts, *energies, f"{cost['fj_per_mac']:,.1f}"]


def _networks_simulated() -> list[str]:
    """Return named networks on the RTL, and their energy."""
    rows = []
    for network in read_kept("named-networks.json")["networks"]:
        layers = network["layers"]
        macs, accumulators, mismatches, cycles, counted, predicted = (
            sum(layer[name] for layer in layers)
            for name in (
                *("macs", "accumulators", "mismatches", "cycles", "counted_pj", "predicted_pj"),
            )
        )
        rows.append(
            [
                network["network"],
                *(f"{number:,}" for number in (len(layers), macs, accumulators, mismatches)),
                f"{cycles:,}",
                f"{counted / 1000:,.1f}",
                f"{predicted / counted - 1:+.1%}",
            ]
        )
    headings = (
        *("network", "matrix layers", "MACs", "accumulators", "mismatches", "cycles"),
        *("counted, nJ", "predicted"),
    )
    return markdown_table(headings, rows)


def _networks_predicted() -> list[str]:
    """Show how far predictions of named networks' layers are from what was counted."""
    networks = [each["layers"] for each in read_kept("named-networks.json")["networks"]]

    def off(layers: Sequence[Mapping[str, float]]) -> float:
        counted, predicted = (
            sum(layer[name] for layer in layers) for name in ("counted_pj", "predicted_pj")
        )
        return abs(predicted / counted - 1)

    layers = sorted(off([layer]) for each in networks for layer in each)
    shares = (
        f"{share:.0%} within {layers[math.ceil(share * len(layers)) - 1]:.1%}"
        for share in (0.5, 0.9, 1)
    )
    return [
        f"Of {len(layers)} layers of {len(networks)} networks {', '.join(shares)}; the sums of all "
        f"networks within {max(map(off, networks)):.1%}."
    ]


def _exchange() -> list[str]:
    """Return imported networks beside their files."""
    rows = [
        [
            f"`{each['file']}`",
            each["runner"],
            f"{each['differing_sums']:,} of {each['sums']:,}",
            f"{each['differing_activations']:,} of {each['activations']:,}, "
            f"by {each['largest_difference']} at most",
            f"{each['differing_classes']:,} of {each['images']:,}",
            f"{each['right']:.1%}",
        ]
        for each in read_kept("exchange.json")["files"]
    ]
    headings = (
        *("file", "run by", "sums that differ", "activations that differ"),
        *("classes that differ", "right"),
    )
    return markdown_table(headings, rows)


def _exploration() -> list[str]:
    """Return the points of the worked example's front, and what their simulations counted."""
    from adq.design_result import DesignResult
    from adq.explore.outcome.tables import figure_of, short

    kept = read_kept("exploration.json")
    results = [DesignResult.from_json(each) for each in kept["results"]]
    objectives = ("energy_pj", "cycles", "area_um2", "clock_mhz", "energy_delay_pj_us")
    rows = [
        [f"{result.tile['rows']}x{result.tile['columns']}", f"`{short(result.network)}`"]
        + [figure_of(result, name) for name in objectives]
        for result in (results[place] for place in kept["front"])
    ]
    headings = ["tile", "network", "energy, pJ", "cycles", "area, um2", "MHz", "pJ x us"]
    lines = [
        f"{len(rows)} of {len(results)} points are on the front:",
        "",
        *markdown_table(headings, rows),
        "",
        "Simulations of the first of them:",
        "",
    ]
    confirmed = [
        [
            f"{each['counted']['tile']['rows']}x{each['counted']['tile']['columns']}",
            *(f"{each[kind]['objectives']['energy_pj']:,.0f}" for kind in ("predicted", "counted")),
            f"{each['energy_difference']:+.1%}",
            *(f"{each[kind]['cycles']:,.0f}" for kind in ("predicted", "counted")),
        ]
        for each in kept["confirmed"]
    ]
    headings = ["tile", "predicted pJ", "counted pJ", "difference", "predicted cycles", "counted"]
    return lines + markdown_table(headings, confirmed)


def _platform_exploration() -> list[str]:
    """Return the front of the platforms for VGG19, and the platform that takes most energy."""
    from adq.design_result import DesignResult

    kept = read_kept("platform-exploration.json")
    results = [DesignResult.from_json(each) for each in kept["results"]]
    front = [results[place] for place in kept["front"]]
    worst = max(results, key=lambda each: each.energy_pj or 0)
    rows = []
    for result in (*front, worst):
        tile = result.tile
        assert result.energy_pj is not None
        rows.append(
            [
                "front" if result in front else "most energy",
                f"{tile['stack']} x {tile['tile_columns']} x {tile['clusters']}",
                str(tile["requantizers"]),
                f"{result.energy_pj / 1e6:.2f}",
                f"{result.cycles:,.0f}",
            ]
        )
    headings = ["", "stack x columns x clusters", "requantizers", "uJ an image", "cycles an image"]
    return markdown_table(headings, rows)


def _trained_points(folder: str) -> list[str]:
    """Return the explorations of a folder that trained their networks, all points by energy."""
    from adq.design_result import DesignResult
    from adq.explore.axes import AXES
    from adq.explore.outcome.tables import figure_of

    lines: list[str] = []
    for path in sorted((RESULTS / folder).glob("*.json")):
        kept = json.loads(path.read_text(encoding="utf-8"))
        results = [DesignResult.from_json(each) for each in kept["results"]]
        front = {id(results[place]) for place in kept["front"]}
        varied = [name for name, values in kept["axes"].items() if len(values) > 1]
        rows = [
            [
                "front" if id(result) in front else "",
                *(str(result.point[axis]) for axis in varied),
                *(figure_of(result, name) for name in ("energy_pj", "cycles", "accuracy")),
            ]
            for result in sorted(results, key=lambda each: each.energy_pj or 0)
        ]
        headings = ["", *(AXES[axis].title for axis in varied)]
        headings += ["energy, pJ", "cycles", "accuracy"]
        lines += [
            f"`{kept['space']}` ({kept['title']}; recipe {', '.join(kept['axes']['recipe'])}, "
            f"{kept['axes']['seeds'][0]} seeds):",
            "",
            *markdown_table(headings, rows),
            "",
        ]
    return lines[:-1]


def _comparisons() -> list[str]:
    """Return policies compared at equal cost, a table for each comparison that is kept."""
    from adq.comparison.outcome import Outcome
    from adq.console import markdown_code

    lines: list[str] = []
    for path in sorted(Path("results/compare").glob("*.json")):
        outcome = Outcome.read(path)
        lines += [markdown_code(outcome.name), ""]
        for title, headings, rows in outcome.tables():
            lines += [f"{title}:", "", *markdown_table(headings, rows), ""]
        figure = Path("figures") / path.stem / "comparison.svg"
        if ("docs" / figure).is_file():
            lines += [f"![Accuracy against energy of {path.stem}]({figure})", ""]
    return lines[:-1] or ["No comparison is kept yet."]


def _load() -> list[str]:
    """Return CPU seconds and memory of commands, by workload."""
    loads = read_kept("load.json")["loads"]
    commands = list(dict.fromkeys(each["command"] for each in loads))
    rows: dict[str, list[str]] = {}
    for each in loads:
        told = f"{each['cpu_seconds']:.1f} s, {each['gibibytes']:.2f}"
        rows.setdefault(each["workload"], []).append(told)
    return markdown_table(["workload", *commands], [[name, *row] for name, row in rows.items()])


def _training_speed() -> list[str]:
    """Return images a second and peak memory of training: plain, ours and Brevitas."""
    kept = read_kept("bench-train.json")
    conditions, speeds, ratios = kept["conditions"], kept["images_per_second"], kept["ratios"]
    memory = kept["peak_memory_bytes"]
    medians = {kind: statistics.median(values) for kind, values in speeds.items()}
    title = (
        f"{conditions['network']}, batches of {conditions['batch']}, {conditions['threads']} "
        f"thread, {conditions['rounds']} rounds"
    )
    rows = [
        [
            "images a second",
            *(f"{medians[kind]:.0f}" for kind in ("plain", "adq", "brevitas")),
            f"{ratios['speed of plain']:.2f}x",
            f"{ratios['speed of Brevitas']:.2f}x",
        ],
        [
            "peak memory beyond the model, MiB",
            *(f"{memory[kind] / 2**20:.0f}" for kind in ("plain", "adq", "brevitas")),
            f"{ratios['memory of plain']:.2f}x",
            f"{memory['adq'] / memory['brevitas']:.2f}x",
        ],
    ]
    headings = [title, "plain", "ours", "Brevitas", "ours / plain", "ours / Brevitas"]
    return [
        *markdown_table(headings, rows),
        "",
        f"PyTorch {conditions['torch']}, Brevitas {conditions['brevitas']}, "
        f"{conditions['device']}, load {conditions['load_average']:.1f}. Plain training is "
        f"{medians['plain'] / medians['brevitas']:.2f} times as fast as Brevitas.",
    ]


NETWORK_SECTIONS: Mapping[str, Callable[[], Sequence[str]]] = {
    "demo": _demo,
    "networks-simulated": _networks_simulated,
    "networks-predicted": _networks_predicted,
    "exchange": _exchange,
    "comparisons": _comparisons,
    "exploration": _exploration,
    "platform-exploration": _platform_exploration,
    "training-exploration": lambda: _trained_points("training-exploration"),
    "distillation": lambda: _trained_points("distillation"),
    "ends": lambda: _trained_points("ends"),
    "load": _load,
    "training-speed": _training_speed,
}
"""Lines of each section, by the name in its marker."""
