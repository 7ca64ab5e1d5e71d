"""From a network's operations to its stages: what is computed together and quantized once."""

from collections import Counter

from torch import nn

from adq.quantization.layers import LayerStage, LogitsStage
from adq.quantization.operations import (
    Add,
    AveragePool,
    Dropout,
    Flatten,
    Input,
    Layer,
    MaxPool,
    Norm,
    Operation,
    Relu,
)
from adq.quantization.stages import (
    AverageStage,
    Dropping,
    Flattening,
    InputStage,
    Pooling,
    Reading,
    RescaleStage,
    Stage,
    Step,
)
from adq.quantization.tracing import PrepareError

INPUT = "input"
"""Name of the tensor of the quantized images."""


def assemble(operations: list[Operation], *, bits: int) -> list[Step]:
    """Group operations into steps, in the order in which they can run; the first is the input's.

    Batch norm, addition, ReLU and maximum pooling become part of the layer before them where
    nothing else reads what lies between. Of two layers that meet in an addition, it becomes part
    of the one with more layers before it, and the other is the skip connection.

    Raises
    ------
    PrepareError
        A batch norm without its layer, or a network that does not end in a linear layer.

    """
    return _Assembly(operations, bits).steps()


class _Assembly:
    def __init__(self, operations: list[Operation], bits: int):
        self.bits = bits
        self.last = operations[-1]
        self.uses = Counter(name for each in operations for name in each.inputs)
        self.step_of: dict[str, Step] = {}
        """The step whose output an operation's tensor is, so far."""
        self.depth: dict[Step, int] = {}
        """Layers on the longest way to a step, itself included."""
        self.position: dict[Step, int] = {}
        """Of the last operation that belongs to a step: by then all that it reads is there."""
        for position, operation in enumerate(operations):
            step = self._step(operation)
            if step not in self.depth:
                before = [self.depth[self.step_of[name]] for name in operation.inputs]
                self.depth[step] = max(before, default=0) + isinstance(operation, Layer)
            self.step_of[operation.name] = step
            self.position[step] = position
        if not isinstance(self.step_of[self.last.name], LogitsStage):
            raise PrepareError(
                f"{self.last.name}: the network must end in a linear layer, which gives the "
                "logits: put one at the end, and nothing behind it"
            )

    def steps(self) -> list[Step]:
        return sorted(self.position, key=self.position.__getitem__)

    def _step(self, operation: Operation) -> Step:
        """Return the operation's step, a new one or one that is open for it."""
        name, inputs = operation.name, tuple(self.step_of[each].name for each in operation.inputs)
        match operation:
            case Input():
                return InputStage(INPUT, ())
            case Layer():
                logits = operation is self.last and isinstance(operation.module, nn.Linear)
                kind = LogitsStage if logits else LayerStage
                return kind(name, inputs, operation, bits=self.bits)
            case Norm():
                return self._normalize(operation)
            case Add():
                return self._join(operation, inputs)
            case Relu():
                stage = self._stage_before(operation.inputs[0]) or RescaleStage(name, inputs)
                stage.relu = True
                return stage
            case MaxPool():
                stage = self._stage_before(operation.inputs[0])
                if stage is None or stage.pool is not None:
                    return Pooling(name, inputs, operation)
                stage.pool = operation
                return stage
            case AveragePool():
                return AverageStage(name, inputs, operation)
            case Flatten():
                return Flattening(name, inputs)
            case Dropout():
                return Dropping(name, inputs, operation.module)
        raise AssertionError(operation)

    def _stage_before(self, tensor: str) -> Stage | None:
        """Return the stage that a tensor comes from, if nothing else reads the tensor."""
        step = self.step_of[tensor]
        sole = self.uses[tensor] == 1 and isinstance(step, Stage)
        return step if sole and not isinstance(step, InputStage) else None

    def _raw_stage(self, tensor: str) -> Stage | None:
        """Return the stage before a tensor, if so far it only accumulates."""
        stage = self._stage_before(tensor)
        raw = stage and not stage.relu and stage.pool is None and stage.skip is None
        return stage if raw else None

    def _normalize(self, operation: Norm) -> LayerStage:
        stage = self._raw_stage(operation.inputs[0])
        if not isinstance(stage, LayerStage) or stage.norm is not None:
            raise PrepareError(
                f"{operation.name}: a batch norm has an integer form only directly behind a "
                "convolution or a linear layer whose output nothing else reads: move it there"
            )
        stage.norm = operation.module
        return stage

    def _join(self, operation: Add, inputs: tuple[str, ...]) -> Stage:
        stages = [
            stage
            for stage in map(self._raw_stage, operation.inputs)
            if stage is not None and not isinstance(stage, RescaleStage)
        ]
        if not stages:
            return RescaleStage(operation.name, inputs)
        stage = max(stages, key=self.depth.__getitem__)
        skip = inputs[1 - inputs.index(stage.name)]
        stage.readings.append(Reading(skip))
        return stage
