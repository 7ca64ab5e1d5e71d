"""Figures of a training run: densities, precisions and channels of every layer over the epochs.

Colours run from light to dark, or from the first layer to the last, on a scale that stays ordered
in grey and for colour-blind eyes; every line and every field carries its name or its number.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from adq.files import replacing
from adq.runs.results import ResultError, read_result
from adq.runs.run import Run, RunError

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

_STYLE: "dict[RcKeyType, Any]" = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "adq",  # the same history gives the same file
}
_LINES = ("-", "--", "-.", ":")
_ROW = 0.24
"""Inches of a layer's line of text."""


class FigureError(ValueError):
    """A history of which no figure can be made; the message says what it lacks."""


_Arguments = ParamSpec("_Arguments")
_Drawn = TypeVar("_Drawn")


def styled(draw: Callable[_Arguments, _Drawn]) -> Callable[_Arguments, _Drawn]:
    """Draw in the style that all figures share."""

    @functools.wraps(draw)
    def in_style(*arguments: _Arguments.args, **options: _Arguments.kwargs) -> _Drawn:
        with matplotlib.rc_context(_STYLE):
            return draw(*arguments, **options)

    return in_style


def read_history(path: Path) -> list[dict[str, Any]]:
    """Read the epochs of a run's folder, of its ``history.jsonl``, or of a kept result's JSON.

    Raises
    ------
    FigureError
        There is none, or it is damaged.

    """
    if path.suffix == ".json":
        run, file = None, path
    else:
        run = Run(path.parent if path.name == "history.jsonl" else path)
        file = run.history
    try:
        if run is not None:
            return run.read_history()
        return list(read_result(path).content.get("history", ()))
    except FileNotFoundError:
        raise FigureError(
            f"{file}: is not there: give the folder of a run, as adq train writes it"
        ) from None
    except (RunError, ResultError) as error:
        raise FigureError(str(error)) from None


def read_metrics(path: Path) -> dict[str, Any]:
    """Read the metrics of a run's folder or kept result; empty where the run is not finished.

    Raises
    ------
    FigureError
        They are damaged.

    """
    try:
        if path.suffix == ".json":
            return dict(read_result(path).content)
        run = Run(path.parent if path.name == "history.jsonl" else path)
        return run.read_metrics() if run.finished else {}
    except (RunError, ResultError) as error:
        raise FigureError(str(error)) from None


@dataclass(frozen=True)
class Layers:
    """What a history tells of each layer of a network."""

    names: tuple[str, ...]
    epochs: tuple[int, ...]
    iterations: tuple[int, ...]
    """Iteration of each epoch."""
    history: Sequence[Mapping[str, Any]]

    @classmethod
    def of(cls, history: Sequence[Mapping[str, Any]], network: str) -> "Layers":
        """Take the epochs of a network, or raise a ``FigureError``."""
        lines = [line for line in history if line.get("network") == network]
        if not lines:
            raise FigureError(
                f"the history holds no epoch of the {network} network: train an epoch first"
            )
        try:
            return cls(
                names=tuple(lines[0]["bits"]),
                epochs=tuple(line["epoch"] for line in lines),
                iterations=tuple(line["iteration"] for line in lines),
                history=lines,
            )
        except (KeyError, TypeError) as error:
            raise FigureError(
                f"the history's lines of the {network} network lack {error}: it was written by "
                "another version, train again"
            ) from None

    def values(self, quantity: str) -> dict[str, np.ndarray]:
        """Values over the epochs of each layer that has any, not a number where it has none."""
        rows = {
            name: np.array([line.get(quantity, {}).get(name, np.nan) for line in self.history])
            for name in self.names
        }
        return {name: row for name, row in rows.items() if not np.isnan(row).all()}

    @property
    def segments(self) -> Iterator[tuple[int, int, int]]:
        """Iterations: number, position of the first epoch, position after the last."""
        positions = range(len(self.iterations))
        for iteration, group in itertools.groupby(positions, key=lambda at: self.iterations[at]):
            first, *rest = group
            yield iteration, first, (rest or [first])[-1] + 1


@styled
def draw(history: Sequence[Mapping[str, Any]], *, title: str) -> dict[str, Figure]:
    """Return the figures of a run's history by name: ``density``, and ``bits``.

    The second one has a panel of channels where any were pruned.
    """
    layers = Layers.of(history, "mixed")
    return {"density": _draw_density(layers, title), "bits": _draw_bits(layers, title)}


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the path's ending, whole or not at all."""
    metadata = {"Date": None} if path.suffix == ".svg" else None
    with matplotlib.rc_context(_STYLE), replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], dpi=150, metadata=metadata)


def _draw_density(layers: Layers, title: str) -> Figure:
    """Draw activation density as a line a layer, each with its name at the end."""
    densities = layers.values("density")
    if not densities:
        raise FigureError("the history holds no activation density: train an epoch first")
    figure = Figure(figsize=(8, max(4, _ROW * len(densities) + 1)), layout="constrained")
    axes = figure.add_subplot()
    colours = scale()(np.linspace(0, 1, len(densities)))
    for position, (name, row) in enumerate(densities.items()):
        axes.plot(
            layers.epochs,
            row,
            _LINES[position % len(_LINES)],
            marker="." if len(row) < 3 else None,
            color=colours[position],
            label=name,
        )
    low, high = axes.get_ylim()
    axes.set_ylim(max(0.0, low), min(1.0, high))
    axes.set_xlim(layers.epochs[0] - 0.5, layers.epochs[-1] + 0.5)
    _name_lines(axes, {name: row[-1] for name, row in densities.items()}, colours)
    axes.set(title=f"{title}: activation density", xlabel="epoch", ylabel="non-zero share")
    axes.xaxis.set_major_locator(_epochs())
    axes.grid(axis="y", color="0.9")
    _mark_iterations(
        axes, layers, at=[layers.epochs[first] - 0.5 for _, first, _ in layers.segments]
    )
    return figure


def _name_lines(axes: Axes, ends: Mapping[str, float], colours: np.ndarray) -> None:
    """Write each line's name right of its end, moved apart where lines end close together."""
    low, high = axes.get_ylim()
    figure = axes.get_figure(root=True)
    assert figure is not None  # the axes are drawn
    height = figure.get_size_inches()[1] * 0.8
    gap = 0.16 * (high - low) / height
    order = sorted(ends, key=ends.__getitem__)
    places = _apart([ends[name] for name in order], gap)
    colour_of = dict(zip(ends, colours, strict=True))
    right = axes.get_xlim()[1]
    for name, place in zip(order, places, strict=True):
        axes.annotate(
            name,
            xy=(right - 0.5, ends[name]),
            xytext=(1.03, place),
            textcoords=axes.get_yaxis_transform(),
            va="center",
            fontsize=8,
            color=colour_of[name],
            arrowprops={"arrowstyle": "-", "color": colour_of[name], "lw": 0.5, "shrinkA": 1},
            annotation_clip=False,
        )


def _apart(places: Sequence[float], gap: float) -> list[float]:
    """Move rising places apart to at least ``gap``, each as little as possible.

    Less i gaps, they must not fall: isotonic regression, by pooling those that do.
    """
    pools: list[tuple[float, int]] = []  # mean, size
    for index, place in enumerate(places):
        mean, size = place - index * gap, 1
        while pools and pools[-1][0] > mean:
            other, count = pools.pop()
            mean, size = (mean * size + other * count) / (size + count), size + count
        pools.append((mean, size))
    means = itertools.chain.from_iterable([mean] * size for mean, size in pools)
    return [mean + index * gap for index, mean in enumerate(means)]


def _draw_bits(layers: Layers, title: str) -> Figure:
    """Draw precisions, and channels where they changed, as a field a layer and iteration."""
    panels = {"bits": layers.values("bits")}
    channels = layers.values("channels")
    if any(row[0] != row[-1] for row in channels.values()):
        panels["channels"] = channels
    size = (6 * len(panels) + 1, max(2.5, _ROW * len(layers.names) + 1.2))
    figure = Figure(figsize=size, layout="constrained")
    for axes, (quantity, rows) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        _draw_fields(axes, layers, rows)
        what = {"bits": "bits", "channels": "output channels"}[quantity]
        axes.set(title=f"{title}: {what} of each layer", xlabel="epoch")
    return figure


def _draw_fields(axes: Axes, layers: Layers, rows: Mapping[str, np.ndarray]) -> None:
    values = np.array(list(rows.values()))  # (layers, epochs)
    top = np.nanmax(values)
    norm = LogNorm(min(np.nanmin(values), top / 2), top)
    axes.imshow(values, aspect="auto", cmap=scale().reversed(), norm=norm, interpolation="none")
    for _, first, after in layers.segments:
        for position, row in enumerate(values):
            dark = norm(row[first]) > 0.5
            axes.text(
                (first + after - 1) / 2,
                position,
                f"{row[first]:.0f}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if dark else "black",
            )
    axes.set_yticks(range(len(rows)), list(rows))
    axes.tick_params(axis="y", length=0)
    axes.spines[:].set_visible(False)
    places = _epochs().tick_values(1, len(layers.epochs))
    shown = [int(place) for place in places if 1 <= place <= len(layers.epochs)]
    axes.set_xticks(
        [place - 1 for place in shown], [str(layers.epochs[place - 1]) for place in shown]
    )
    axes.set_yticks(np.arange(len(rows) - 1) + 0.5, minor=True)
    axes.grid(axis="y", which="minor", color="white", linewidth=1)
    axes.tick_params(which="minor", length=0)
    for _, first, _ in list(layers.segments)[1:]:
        axes.axvline(first - 0.5, color="white", linewidth=2)


def _mark_iterations(axes: Axes, layers: Layers, at: Sequence[float]) -> None:
    """Draw where iterations begin, and number them."""
    for (iteration, _, _), place in zip(layers.segments, at, strict=True):
        if iteration != layers.iterations[0]:
            axes.axvline(place, color="0.6", linewidth=0.8)
        axes.annotate(
            f"iteration {iteration}" if iteration == layers.iterations[0] else f"{iteration}",
            (place, 1),
            xycoords=axes.get_xaxis_transform(),
            xytext=(3, -3),
            textcoords="offset points",
            va="top",
            fontsize=8,
            color="0.4",
        )


def _epochs() -> MaxNLocator:
    return MaxNLocator(nbins=9, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)


def scale() -> Colormap:
    """From dark to light, without the yellow that white paper swallows."""
    return LinearSegmentedColormap.from_list(
        "adq", matplotlib.colormaps["viridis"](np.linspace(0, 0.8, 256))
    )
