"""Run supervisor: begins and ends runs of programs, whatever happens in between."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from adq.rtl.platform.host.register_table import ErrorCode
from adq.rtl.port_types import Aggregate, Component, structure

__all__ = ["RunSupervisor", "fault_layout"]


def fault_layout() -> data.StructLayout:
    """Return the layout of the register ``error``."""
    return data.StructLayout({"code": 8, "field": 8, "descriptor": 16})


class RunSupervisor(Component):
    """Lets programs run, and stops them.

    What runs programs is held in reset between runs, so that each begins alike. After a fault it is
    reset at once, while accesses of the bus that are under way come to their ends. Then the host
    hears of the fault; of a bus that does not move, it hears at once.

    Members
    -------
    start : In
        Run a program; ignored while ``busy``.
    abort : In
        Stop the one that runs.
    finished : In
        The program has run to its end.
    fault, blame : In
        Something failed: :func:`fault_layout`.
    under_way : In
        Accesses of the bus are under way.
    late : In
        The bus has not moved for too long.
    busy, done, failed, error : Out
        As in the registers.
    begins, ends, fails : Out
        A run begins, ends, or is reported as stopped, in this cycle.
    clear : Out
        What runs programs is held in reset.
    stopping : Out
        No access of the bus may begin.
    """

    start: Signal
    abort: Signal
    finished: Signal
    fault: Signal
    blame: Aggregate
    under_way: Signal
    late: Signal
    busy: Signal
    done: Signal
    failed: Signal
    error: Aggregate
    begins: Signal
    ends: Signal
    fails: Signal
    clear: Signal
    stopping: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "start": In(1),
                "abort": In(1),
                "finished": In(1),
                "fault": In(1),
                "blame": In(fault_layout()),
                "under_way": In(1),
                "late": In(1),
                "busy": Out(1),
                "done": Out(1),
                "failed": Out(1),
                "error": Out(fault_layout()),
                "begins": Out(1),
                "ends": Out(1),
                "fails": Out(1),
                "clear": Out(1),
                "stopping": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        reported = Signal()
        blame = structure(fault_layout(), name="blamed")
        m.d.comb += self.busy.eq(1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.busy.eq(0), self.clear.eq(1), self.begins.eq(self.start)]
                with m.If(self.start):
                    m.d.sync += [self.done.eq(0), self.failed.eq(0), reported.eq(0)]
                    m.d.sync += self.error.as_value().eq(0)
                    m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += blame.eq(self.blame)
                with m.If(self.abort):
                    m.d.comb += blame.as_value().eq(ErrorCode.ABORTED)
                with m.Elif(self.late):
                    m.d.comb += blame.as_value().eq(ErrorCode.TIMEOUT)
                with m.If(self.fault | self.abort | self.late):
                    m.d.sync += self.error.eq(blame)
                    m.next = "STOP"
                with m.Elif(self.finished):
                    m.d.comb += self.ends.eq(1)
                    m.d.sync += self.done.eq(1)
                    m.next = "IDLE"
            with m.State("STOP"):
                m.d.comb += [self.clear.eq(1), self.stopping.eq(1)]
                stuck = self.late | (self.error.code == ErrorCode.TIMEOUT)
                m.d.comb += self.fails.eq(~reported & (~self.under_way | stuck))
                with m.If(self.fails):
                    m.d.sync += [reported.eq(1), self.failed.eq(1)]
                with m.If(~self.under_way):
                    m.next = "IDLE"
        return m
