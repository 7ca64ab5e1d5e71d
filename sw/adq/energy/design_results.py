"""Energies of networks as design results, the shape that all commands share."""

from dataclasses import asdict

from adq.design_result import DesignResult, LayerResult, Method
from adq.energy.coefficients import Coefficients
from adq.energy.network_energy import NetworkEnergy
from adq.energy.simulated import NetworkEnergies
from adq.verif.simulation.network_run import NetworkRun

__all__ = ["counted_result", "labels_of", "predicted_result"]


def predicted_result(network: NetworkEnergy, model: Coefficients) -> DesignResult:
    """Return what the energy model predicts of a network.

    The weight load is shared by the images of the network.
    """
    layers = tuple(
        LayerResult(
            name=each.layer.name,
            macs=each.layer.macs,
            weight_bits=each.layer.weight_bits,
            activation_bits=each.layer.activation_bits,
            cycles=each.layer.features["cycles"] / each.layer.images,
            compute_pj=each.compute_pj,
            load_pj=each.load_once_pj,
            blocks_pj=each.blocks_pj,
        )
        for each in network.layers
    )
    return DesignResult(
        network=network.name,
        method=Method.PREDICTED,
        tile=asdict(model.tile),
        library=model.library,
        images=network.images,
        compute_pj=network.total("compute_pj"),
        load_pj=network.total("load_once_pj"),
        leakage_pj=network.total("leakage_pj"),
        cycles=sum(layer.cycles for layer in layers),
        layers=layers,
        labels=(f"operands: {network.operands}", *labels_of(model, model.predictor_bound)),
    )


def counted_result(run: NetworkRun, energies: NetworkEnergies) -> DesignResult:
    """Return what was counted in a simulation of a network."""
    images, model = run.images, energies.model
    layers = tuple(
        LayerResult(
            name=each.run.name,
            macs=each.run.work.macs,
            weight_bits=each.run.work.layer.hardware_weight_bits,
            activation_bits=each.run.work.format.bits,
            cycles=each.run.cycles / images,
            compute_pj=each.counted.compute / images / 1000,
            load_pj=each.counted.load / images / 1000,
            blocks_pj={
                block: energy / images / 1000 for block, energy in each.counted.blocks.items()
            },
        )
        for each in energies.layers
    )
    return DesignResult(
        network=run.artifact,
        method=Method.COUNTED,
        tile=asdict(model.tile),
        library=model.library,
        images=images,
        compute_pj=sum(layer.compute_pj or 0.0 for layer in layers),
        load_pj=sum(layer.load_pj or 0.0 for layer in layers),
        cycles=sum(layer.cycles for layer in layers),
        layers=layers,
        labels=(
            f"counted in a simulation of {images} images, without {', '.join(energies.without)}",
            *labels_of(model, model.bound),
        ),
    )


def labels_of(model: Coefficients, bound: float | None) -> tuple[str, ...]:
    """Return what a reader has to know of energies by a model, with its measured error."""
    size = f"{model.tile.rows}x{model.tile.columns}"
    if model.scaled_from:
        size += f", an estimate from {model.scaled_from}"
    measured = "no error was measured" if bound is None else f"at most {bound:.1%} off"
    return (
        f"{size}: {measured}",
        model.conditions,
        *(f"{block} was characterized on another revision" for block in model.other_revisions),
    )
