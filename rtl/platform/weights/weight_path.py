"""Weight path: from layers that are to run to the weights of each tile."""

from collections.abc import Sequence

from amaranth.hdl import Module
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from adq.rtl.interface import weight_layout
from adq.rtl.platform.bus.read_channel import request_layout
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.weights.weight_columns import WeightColumns
from adq.rtl.platform.weights.weight_loader import WeightLoader, task_layout
from adq.rtl.port_types import Component, Stream

__all__ = ["WeightPath"]


class WeightPath(Component):
    """Asks for the weight blocks of layers, and gives them to the tiles that compute with them::

        tasks --> loader --requests-->
                    | orders, windows of the layer
                    v
        beats --> a weight buffer a column --> weights of each tile

    Members
    -------
    tasks : stream of :func:`adq.rtl.platform.weights.weight_loader.task_layout`, In
        Layers, in the order in which they run.
    requests : stream of :func:`adq.rtl.platform.bus.read_channel.request_layout`, Out
    beats : stream, In
        Bytes that were asked for, as beats of the tiles' weight ports.
    weights : array of streams of :func:`adq.rtl.interface.weight_layout`, Out
        Those of each tile: cluster by cluster, in it unit by unit, in it column by column. A block
        comes again for each chunk of pooling windows.
    """

    tasks: Stream
    requests: Stream
    beats: Stream
    weights: Sequence[Stream]

    def __init__(self, parameters: PlatformParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "tasks": In(stream.Signature(task_layout())),
                "requests": Out(stream.Signature(request_layout())),
                "beats": In(stream.Signature(weight_layout(p.tile).size)),
                "weights": Out(stream.Signature(weight_layout(p.tile))).array(p.tiles),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.loader = loader = WeightLoader(self.parameters)
        m.submodules.columns = columns = WeightColumns(self.parameters)
        connect(m, flipped(self.tasks), loader.tasks)
        connect(m, loader.requests, flipped(self.requests))
        connect(m, loader.orders, columns.orders)
        connect(m, loader.chunks, columns.chunks)
        connect(m, flipped(self.beats), columns.beats)
        for given, taken in zip(columns.weights, self.weights, strict=True):
            connect(m, given, flipped(taken))
        return m
