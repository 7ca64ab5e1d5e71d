"""From a network's operations to its stages: what is computed together and quantized once."""

from collections import Counter
from dataclasses import dataclass

from adq.quantization.reading.operations import (
    Activation,
    Add,
    AveragePool,
    Concat,
    Dropout,
    Flatten,
    Gather,
    Input,
    Layer,
    MaxPool,
    Multiply,
    Norm,
    Operation,
    Relu,
    Reshape,
)
from adq.quantization.reading.tensors import INPUT
from adq.quantization.steps.layers import LayerStage, LogitsStage
from adq.quantization.steps.stages import (
    AffineStage,
    AverageStage,
    ConcatStage,
    InputStage,
    ProductStage,
    RescaleStage,
    Stage,
    TableStage,
)
from adq.quantization.steps.step import Dropping, Flattening, Gathering, Pooling, Reshaping, Step


@dataclass(frozen=True)
class Assembled:
    """The steps of a network."""

    steps: list[Step]
    """In the order in which they can run; the first is the input's."""
    outputs: tuple[str, ...]
    """Steps whose tensors the network returns."""
    last: dict[str, str]
    """The operation whose tensor a step gives, by step."""


def assemble(operations: list[Operation], outputs: list[str], *, bits: int) -> Assembled:
    """Group operations into steps.

    Batch norm, addition, ReLU and maximum pooling become part of the layer before them where
    nothing else reads what lies between. Of two layers that meet in an addition, it becomes part
    of the one with more layers before it, and the other is the skip connection.
    """
    return _Assembly(operations, outputs, bits).assembled()


class _Assembly:
    def __init__(self, operations: list[Operation], outputs: list[str], bits: int):
        self.bits = bits
        self.outputs = outputs
        self.uses = Counter(name for each in operations for name in each.inputs)
        self.uses.update(outputs)
        self.shapes = {each.name: each.shape for each in operations}
        self.step_of: dict[str, Step] = {}
        """The step whose output an operation's tensor is, so far."""
        self.depth: dict[Step, int] = {}
        """Layers on the longest way to a step, itself included."""
        self.position: dict[Step, int] = {}
        """Place of a step's last operation: by then all that the step reads is there."""
        for position, operation in enumerate(operations):
            step = self._step(operation)
            if step not in self.depth:
                before = [self.depth[self.step_of[name]] for name in operation.inputs]
                self.depth[step] = max(before, default=0) + isinstance(operation, Layer)
            self.step_of[operation.name] = step
            self.position[step] = position

    def assembled(self) -> Assembled:
        last = {step.name: name for name, step in self.step_of.items()}
        return Assembled(
            steps=sorted(self.position, key=self.position.__getitem__),
            outputs=tuple(self.step_of[name].name for name in self.outputs),
            last=last,
        )

    def _step(self, operation: Operation) -> Step:
        """Return the operation's step, a new one or one that is open for it."""
        name, inputs = operation.name, tuple(self.step_of[each].name for each in operation.inputs)
        match operation:
            case Input():
                return InputStage(INPUT, operation.shape)
            case Layer():
                # An output that no other operation reads leaves the network as sums.
                raw = name in self.outputs and self.uses[name] == 1
                return (LogitsStage if raw else LayerStage)(name, inputs, operation, bits=self.bits)
            case Norm():
                return self._normalize(operation, inputs)
            case Add():
                return self._join(operation, inputs)
            case Relu():
                stage = self._stage_before(operation.inputs[0]) or RescaleStage(name, inputs)
                stage.rectify(operation.limit)
                return stage
            case Activation():
                return TableStage(name, inputs, operation.function)
            case Multiply():
                return ProductStage(name, inputs)
            case Concat():
                return ConcatStage(name, inputs)
            case MaxPool():
                before = self._stage_before(operation.inputs[0])
                if before is None or before.pool is not None:
                    return Pooling(name, inputs, operation)
                before.pool = operation
                return before
            case AveragePool():
                return AverageStage(name, inputs, operation)
            case Flatten():
                return Flattening(name, inputs)
            case Reshape():
                return Reshaping(name, inputs, operation.shape)
            case Gather():
                return Gathering(name, inputs, operation, self.shapes[operation.inputs[0]][0])
            case Dropout():
                return Dropping(name, inputs, operation.module)
        raise AssertionError(operation)

    def _stage_before(self, tensor: str) -> Stage | None:
        """Return the stage that a tensor comes from, if nothing else reads the tensor."""
        step = self.step_of[tensor]
        if self.uses[tensor] != 1 or not isinstance(step, Stage) or isinstance(step, InputStage):
            return None
        return step

    def _raw_stage(self, tensor: str) -> Stage | None:
        """Return the stage before a tensor, if so far it only accumulates."""
        stage = self._stage_before(tensor)
        if stage is None or stage.relu or stage.pool is not None or stage.skip is not None:
            return None
        return stage

    def _normalize(self, operation: Norm, inputs: tuple[str, ...]) -> Stage:
        stage = self._raw_stage(operation.inputs[0])
        if isinstance(stage, LayerStage) and stage.norm is None:
            stage.norm = operation.module
            return stage
        return AffineStage(operation.name, inputs, operation.module)

    def _join(self, operation: Add, inputs: tuple[str, ...]) -> Stage:
        stages = [
            stage
            for stage in map(self._raw_stage, operation.inputs)
            if stage is not None and stage.joins
        ]
        if not stages:
            return RescaleStage(operation.name, inputs)
        stage = max(stages, key=self.depth.__getitem__)
        skip = inputs[1 - inputs.index(stage.name)]
        stage.join(skip)
        return stage
