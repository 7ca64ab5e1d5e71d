"""Means of the results of networks that were trained with several seeds."""

import statistics
from collections.abc import Sequence
from dataclasses import replace

from adq.design_result import DesignResult, LayerResult

__all__ = ["mean_over_seeds"]


def mean_over_seeds(results: Sequence[DesignResult]) -> DesignResult:
    """Return the mean of the results of one point, which has one for each seed.

    A figure that one of them lacks is missing in the mean. Names, sizes and bits of layers are
    those of the first result, and a label says so.
    """
    first = results[0]
    if len(results) == 1:
        return first
    accuracies = [each.accuracy for each in results if each.accuracy is not None]
    whole = len(accuracies) == len(results)
    label = f"means over {len(results)} seeds; bits of layers are those of the first seed"
    return replace(
        first,
        compute_pj=_mean([each.compute_pj for each in results]),
        load_pj=_mean([each.load_pj for each in results]),
        leakage_pj=_mean([each.leakage_pj for each in results]),
        cycles=_mean([each.cycles for each in results]),
        accuracy=_mean([each.accuracy for each in results]),
        accuracy_deviation=statistics.stdev(accuracies) if whole else None,
        layers=tuple(
            _mean_layer([each.layers[place] for each in results])
            for place in range(len(first.layers))
        ),
        labels=(label, *dict.fromkeys(label for each in results for label in each.labels)),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if len(known) == len(values) else None


def _mean_layer(layers: Sequence[LayerResult]) -> LayerResult:
    blocks = dict.fromkeys(block for layer in layers for block in layer.blocks_pj)
    return replace(
        layers[0],
        cycles=statistics.fmean(layer.cycles for layer in layers),
        compute_pj=_mean([layer.compute_pj for layer in layers]),
        load_pj=_mean([layer.load_pj for layer in layers]),
        blocks_pj={
            block: statistics.fmean(layer.blocks_pj.get(block, 0.0) for layer in layers)
            for block in blocks
        },
    )
