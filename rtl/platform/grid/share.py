"""Share: which windows and outputs of a layer a unit computes."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.planes.windows import WINDOW_BITS, share_layout
from adq.rtl.platform.results.drain_settings import PLACE_BITS, outputs_of
from adq.rtl.port_types import Aggregate, Component

__all__ = ["Share", "places", "schedules", "work_layout"]


def work_layout() -> data.StructLayout:
    """Return the layout of how a layer is spread over units. Counts are not one less."""
    return data.StructLayout(
        {
            "stacked": 1,  # units of a cluster share the row blocks of an output
            "split": 8,  # parts that compute different outputs of the same pixels
            "windows": WINDOW_BITS,  # pooling windows of all images
            "pixels": WINDOW_BITS,  # of an image
            "part": WINDOW_BITS,  # of a part of the pixels; the last one may have fewer
            "raw": PLACE_BITS,  # raw results from the first one of a part to that of the next one
        }
    )


def schedules(parameters: PlatformParameters) -> Iterator[tuple[int, int, int]]:
    """Yield how a layer may be spread: ``stacked``, ``split``, and parts of different pixels."""
    p = parameters
    for stacked in (0, 1) if p.stack > 1 else (0,):
        units = p.clusters if stacked else p.units
        for split in range(1, min(units, 255) + 1):
            if units % split == 0:
                yield stacked, split, units // split


def places(
    parameters: PlatformParameters, cluster: int, place: int
) -> Iterator[tuple[int, int, int, int]]:
    """Yield what a unit computes wherever a layer may be spread: ``stacked``, ``split``, its part
    of the outputs, and its part of the windows.
    """
    for stacked, split, _ in schedules(parameters):
        number = cluster if stacked else cluster * parameters.stack + place
        yield stacked, split, number % split, number // split


class Share(Component):
    """Computes the share of a unit, from its place in the platform::

        number = cluster                      stacked
                 cluster * stack + place      not stacked
        part of the outputs = number % split
        part of the windows = number // split

    Windows are spread in the order in which they follow each other, so that units work on pixels
    that lie apart. In a group of outputs those of the first part come first, and of them those of
    the first column.

    Latency: three cycles.

    Parameters
    ----------
    parameters
        Sizes of the platform.
    cluster, place : int
        Place of the unit: its cluster, and its place in it.

    Members
    -------
    work : :func:`work_layout`, In
    weight_bits, outputs : In
        One-hot weight width, and outputs of the layer.
    part : Out
        Part of the outputs that is the unit's.
    share : :func:`adq.rtl.platform.planes.windows.share_layout`, Out
        Windows that are the unit's.
    raw : Out
        Place of its first raw result behind that of the layer.
    works : Out
        One bit per column: it computes any results of the layer.
    first, left : arrays, Out
        First output of each column, and outputs of the layer from that one on.
    """

    latency: ClassVar[int] = 3
    """Cycles from the settings to the share."""

    work: Aggregate
    weight_bits: Signal
    outputs: Signal
    part: Signal
    share: Aggregate
    raw: Signal
    works: Signal
    first: Sequence[Signal]
    left: Sequence[Signal]

    def __init__(self, parameters: PlatformParameters, *, cluster: int, place: int):
        self.parameters = p = parameters
        self.cluster, self.place = cluster, place
        super().__init__(
            {
                "work": In(work_layout()),
                "weight_bits": In(len(p.tile.weight_widths)),
                "outputs": In(16),
                "part": Out(8),
                "share": Out(share_layout()),
                "raw": Out(PLACE_BITS),
                "works": Out(p.tile_columns),
                "first": Out(16).array(p.tile_columns),
                "left": Out(16).array(p.tile_columns),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p, work = self.parameters, self.work
        m = Module()
        lanes = outputs_of(p, self.weight_bits)
        of_windows = Signal(range(p.units))
        with m.Switch(Cat(work.stacked, work.split)):
            for stacked, split, part, windows in places(p, self.cluster, self.place):
                with m.Case(stacked | split << 1):
                    m.d.sync += [self.part.eq(part), of_windows.eq(windows)]
            with m.Default():
                m.d.sync += [self.part.eq(0), of_windows.eq(0)]

        before = Signal(WINDOW_BITS + len(of_windows))
        rest = Signal(WINDOW_BITS)
        some = Signal()
        m.d.sync += [before.eq(of_windows * work.part), self.raw.eq(of_windows * work.raw)]
        m.d.comb += [some.eq(before < work.windows), rest.eq(work.windows - before)]
        m.d.sync += [
            self.share.before.eq(before),
            self.share.behind.eq(Mux(rest < work.part, rest, work.part) - 1),
            self.share.pixels.eq(work.pixels),
        ]
        for column, (first, left) in enumerate(zip(self.first, self.left, strict=True)):
            begins = Signal(16 + 1, name=f"begins_{column}")
            wide: Value = (self.part * p.tile_columns + column) * lanes
            m.d.sync += begins.eq(Mux(wide > 0xFFFF, 0x10000, wide))
            inside = begins < self.outputs
            m.d.sync += [
                first.eq(begins),
                left.eq(Mux(inside, self.outputs - begins, 0)),
                self.works[column].eq(some & inside),
            ]
        return m
