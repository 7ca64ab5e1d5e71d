"""From a plan to its program: descriptors, parameters and weight blocks in load order."""

import numpy as np

from adq.golden.files.json_reader import JsonObject
from adq.golden.platform.checks import UNIT
from adq.golden.platform.planning.cycles import PARAMETER_BYTES, Schedule
from adq.golden.platform.planning.layout import Layout
from adq.golden.platform.planning.planner import Plan, PlannedStep, geometry
from adq.golden.platform.planning.steps import Lowered, PlanError, Step, View
from adq.golden.platform.planning.thresholds import has_thresholds, threshold_records
from adq.golden.platform.program import Program
from adq.rtl.platform.descriptors import (
    DESCRIPTOR_BYTES,
    Descriptor,
    End,
    Layer,
    Load,
    Loop,
    Mode,
    Store,
    When,
)
from adq.rtl.platform.parameters import PlatformParameters


def emit(plan: Plan, images: int) -> Program:
    """Return the program of a plan for ``images`` images, or for the next whole number of passes.

    Raises
    ------
    adq.golden.platform.planning.lowering.PlanError
        The program has more descriptors, or more images, than a platform takes.

    """
    return _Emission(plan, images).program()


class _Emission:
    def __init__(self, plan: Plan, images: int):
        self.plan = plan
        self.passes = -(-images // plan.batch)
        if not 1 <= self.passes < 2**16:
            raise PlanError(
                f"{images} images are {self.passes} passes of {plan.batch}: a program has 1 to "
                f"{2**16 - 1}, so run it several times"
            )
        self.images = self.passes * plan.batch
        self.descriptors: list[Descriptor] = []
        self.blob = bytearray()
        self.output_bytes = 0
        self.layers: dict[str, JsonObject] = {}
        self.outputs: dict[str, JsonObject] = {}
        steps = plan.steps
        last = {id(each.step.target.buffer): i for i, each in enumerate(steps) if each.step.target}
        lowered = plan.lowered
        self.stores: dict[int, list[tuple[str, View]]] = {}
        """Tensors to store behind each step."""
        for name, view in lowered.outputs.items():
            if view is not None:
                if id(view.buffer) not in last:
                    raise PlanError(f"{name}: an output must be computed, it holds the images")
                self.stores.setdefault(last[id(view.buffer)], []).append((name, view))

    def program(self) -> Program:
        plan, lowered = self.plan, self.plan.lowered
        count = self._count()
        if count > plan.platform.largest_descriptors:
            raise PlanError(
                f"network {lowered.network.name}: its program has {count} descriptors, a platform "
                f"takes {plan.platform.largest_descriptors}: use fewer groups in convolutions"
            )
        self.base = count * DESCRIPTOR_BYTES
        self._load()
        for index, each in enumerate(plan.steps):
            self._layer(each)
            for name, view in self.stores.get(index, ()):
                self._store(name, view, each.images)
            following = plan.steps[index + 1].images if index + 1 < len(plan.steps) else None
            if following != each.images:
                passes = self.passes if following is None else following // each.images
                self.descriptors.append(Loop(count=passes, images_log=_log(each.images)))
        self.descriptors.append(End())
        assert len(self.descriptors) == count
        layout = lowered.input.buffer.layout
        return Program(
            platform=plan.platform,
            memory=b"".join(each.pack() for each in self.descriptors) + bytes(self.blob),
            descriptors=count,
            images=self.images,
            input_bytes=self.images * layout.image_words * layout.word_bits // 8,
            output_bytes=self.output_bytes,
            notes={
                "name": lowered.network.name,
                "input": {
                    "shape": list(lowered.network.input_shape),
                    "layout": _described(layout),
                    "windows": _windows(lowered),
                },
                "outputs": self.outputs,
                "layers": self.layers,
            },
        )

    def _count(self) -> int:
        """Count the descriptors."""
        plan = self.plan
        loops = len({each.images for each in plan.steps})
        loads = 2 if plan.when == When.AHEAD else 1
        return loads + len(plan.steps) + sum(map(len, self.stores.values())) + loops + 1

    def _load(self) -> None:
        buffer, images = self.plan.lowered.input.buffer, self.plan.steps[0].images
        kinds = (When.FIRST_PASS, When.AHEAD) if self.plan.when == When.AHEAD else (0,)
        for when in kinds:
            self.descriptors.append(
                Load(
                    images_log=_log(images),
                    slots_log=_log(buffer.slots),
                    when=when,
                    words=buffer.layout.image_words,
                    address=buffer.address,
                    memory=0,
                )
            )

    def _output(self, size: int) -> int:
        """Reserve output memory; returns its address in units."""
        first = self.output_bytes
        self.output_bytes += -(-size // UNIT) * UNIT
        return first // UNIT

    def _store(self, name: str, view: View, images: int) -> None:
        layout = view.buffer.layout
        memory = self._output(self.images * layout.image_words * layout.word_bits // 8)
        self.descriptors.append(
            Store(
                images_log=_log(images),
                slots_log=_log(view.buffer.slots),
                words=layout.image_words,
                address=view.buffer.address,
                memory=memory,
            )
        )
        self._note_output(name, memory, _described(layout), view.channel)

    def _note_output(self, name: str, memory: int, layout: JsonObject | None, channel: int) -> None:
        shape = list(self.plan.lowered.network.shapes[name])
        self.outputs[name] = {
            "memory": memory * UNIT,
            "shape": shape,
            "layout": layout,
            "channel": channel,
        }

    def _layer(self, planned: PlannedStep) -> None:
        step, schedule = planned.step, planned.cycles.schedule
        source = step.source.buffer
        mode = Mode.THRESHOLDS if has_thresholds(step) else step.mode
        fields = geometry(step)
        fields |= {
            "weight_bits": step.weight_bits,
            "source_planes": source.layout.planes,
            "source_signed": int(source.layout.signed),
            "source_slots_log": _log(source.slots),
            "source": source.address + step.word_range[0],
            "mode": mode,
            "stacked": int(schedule.stacked),
            "split": schedule.split,
            "shift": step.shift,
            "skip_shift": step.skip_shift,
            "accumulator_bits": step.accumulator_bits,
            "images_log": _log(planned.images),
        }
        fields |= self._target(step) | self._skip(step.skip)
        records = {Mode.TABLE: _table, Mode.THRESHOLDS: threshold_records}.get(mode, _parameters)
        fields["parameters"] = self._append(records(step))
        fields["weights"] = self._append(weight_blocks(step, self.plan.platform, schedule))
        self.layers[str(len(self.descriptors))] = {
            "node": step.node,
            "first": step.first,
            "output": step.pool.name or step.node,
        }
        self.descriptors.append(Layer(**fields))

    def _target(self, step: Step) -> dict[str, int]:
        if step.target is None:
            channels, *sides = self.plan.lowered.network.shapes[step.node]
            if step.node not in self.outputs:
                size = self.images * channels * int(np.prod(sides, dtype=int)) * 8
                self._note_output(step.node, self._output(size), None, 0)
            return {
                "target": self.outputs[step.node]["memory"] // UNIT,
                "target_planes": 1,
                "target_signed": 0,
                "target_slots_log": 0,
                "target_pitch": channels,
                "target_channel": step.first,
            }
        buffer = step.target.buffer
        return {
            "target": buffer.address,
            "target_planes": buffer.layout.planes,
            "target_signed": int(buffer.layout.signed),
            "target_slots_log": _log(buffer.slots),
            "target_pitch": buffer.layout.pitch,
            "target_channel": step.target.channel,
        }

    def _skip(self, view: View | None) -> dict[str, int]:
        if view is None:
            return {
                "skip": 0,
                "skip_planes": 1,
                "skip_signed": 0,
                "skip_slots_log": 0,
                "skip_address": 0,
                "skip_pitch": 1,
                "skip_channel": 0,
            }
        layout = view.buffer.layout
        return {
            "skip": 1,
            "skip_planes": layout.planes,
            "skip_signed": int(layout.signed),
            "skip_slots_log": _log(view.buffer.slots),
            "skip_address": view.buffer.address,
            "skip_pitch": layout.pitch,
            "skip_channel": view.channel,
        }

    def _append(self, data: bytes) -> int:
        """Append to what the descriptors point to; returns its address in units."""
        first = self.base + len(self.blob)
        self.blob += data + bytes(-len(data) % UNIT)
        return first // UNIT


def _parameters(step: Step) -> bytes:
    """M, M_skip and the constant of each output: 16 bytes each."""
    records = np.zeros(
        step.outputs,
        dtype=[("multiplier", "<i2"), ("skip", "<i2"), ("unused", "<i4"), ("constant", "<i8")],
    )
    assert records.itemsize == PARAMETER_BYTES
    records["multiplier"] = step.multiplier
    records["skip"] = step.skip_multiplier
    records["constant"] = step.constant
    return records.tobytes()


def _table(step: Step) -> bytes:
    """Entries of a table, 2 bytes each, that of the smallest integer first."""
    if step.table is None:
        raise AssertionError(f"{step.node} has no table")
    entries: np.ndarray = np.bitwise_and(step.table, 0xFFFF)
    return entries.astype("<u2").tobytes()


def weight_blocks(step: Step, platform: PlatformParameters, schedule: Schedule) -> bytes:
    """Return a step's weights as the tiles load them.

    A block is that of a tile: its rows in order, each with its columns, least significant bit
    first; an output of kw bits has kw neighbouring columns. Blocks stand in the order (group of
    outputs, round, part of the split, tile of the stack, tile column). What no output or no row
    needs is 0.
    """
    bits = step.weight_bits
    lanes = platform.columns // bits
    stack = platform.stack if schedule.stacked else 1
    columns = schedule.groups * schedule.split * platform.tile_columns
    dense = np.zeros((columns * lanes, schedule.rounds * stack, platform.rows), dtype=np.int64)
    dense[: step.outputs, : step.blocks] = step.block_weights()
    planes = (dense[..., None] >> np.arange(bits) & 1).astype(np.uint8)
    shape = (schedule.groups, schedule.split, platform.tile_columns, lanes)
    planes = planes.reshape(*shape, schedule.rounds, stack, platform.rows, bits)
    # (group, round, split, stack, column, row, lane, bit)
    ordered = planes.transpose(0, 4, 1, 5, 2, 6, 3, 7)
    return np.packbits(ordered.reshape(-1, platform.columns), axis=1, bitorder="little").tobytes()


def _log(count: int) -> int:
    assert count & (count - 1) == 0
    return count.bit_length() - 1


def _described(layout: Layout) -> JsonObject:
    return {
        "channels": layout.channels,
        "height": layout.height,
        "width": layout.width,
        "planes": layout.planes,
        "signed": layout.signed,
    }


def _windows(lowered: Lowered) -> JsonObject | None:
    if lowered.windows is None:
        return None
    return {name: list(pair) for name, pair in vars(lowered.windows).items()}
