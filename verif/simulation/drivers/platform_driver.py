"""Driver of the platform: start a program, wait for its end, read counters and errors.

It knows registers and nothing of the simulation: any bus that reads and writes words will do.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from adq.rtl.platform.host.register_table import (
    COUNTERS,
    FIELDS,
    IDENTITY,
    MEMORY_ALIGNMENT,
    REGISTERS,
    VERSION,
    ErrorCode,
    identity_of,
)
from adq.rtl.platform.parameters import PlatformParameters

__all__ = [
    *("ADDRESSES", "EVENTS", "START", "Area", "Cycles", "PlatformDriver", "PlatformError"),
    *("RegisterBus", "RunError"),
]

ADDRESSES = {each.name: each.address for each in REGISTERS}
"""Address of each register, in bytes."""

START, ABORT = 1, 2
"""Bits of the register ``control``."""

BUSY, DONE, FAILED = 1, 2, 4
"""Bits of the register ``status``."""

EVENTS = 3
"""Bits of the registers of interrupts."""


class RegisterBus(Protocol):
    """Access to the platform's registers."""

    async def read(self, address: int) -> int:
        """Return the register at an address."""

    async def write(self, address: int, value: int) -> None:
        """Write the register at an address."""


class PlatformError(Exception):
    """The platform is not the one that was expected, or cannot start."""


@dataclass(frozen=True)
class Area:
    """A memory on the bus: its address, a multiple of 4096, and its size in bytes."""

    address: int
    size: int


@dataclass(frozen=True)
class RunError:
    """Why a program was stopped."""

    code: ErrorCode
    descriptor: int
    """Place of the descriptor in the program."""
    field: str
    """Name of the field, or nothing."""

    @classmethod
    def decoded(cls, word: int) -> "RunError":
        """Return what a value of the register ``error`` says."""
        _, field = FIELDS[word >> 8 & 0xFF]
        return cls(ErrorCode(word & 0xFF), word >> 16, field)

    def __str__(self) -> str:
        place = f"descriptor {self.descriptor}" + (f", field {self.field}" if self.field else "")
        return f"{self.code.name}: {place}"


@dataclass(frozen=True)
class Cycles:
    """Counters of a run."""

    total: int
    classes: dict[str, int]
    """Cycles by what happened in them; they add up to ``total``."""
    read_beats: int
    write_beats: int


class PlatformDriver:
    """Drives a platform.

    Parameters
    ----------
    bus
        Registers.
    interrupt
        Function whose result ends when the interrupt is raised.

    """

    def __init__(self, bus: RegisterBus, interrupt: Callable[[], Awaitable[None]]):
        self.bus = bus
        self.interrupt = interrupt

    async def check(self, platform: PlatformParameters) -> None:
        """Hold the registers against the platform that is expected.

        Raises
        ------
        PlatformError
            They are another platform's.

        """
        for name, expected in (
            ("identity", IDENTITY),
            ("version", VERSION),
            ("platform", identity_of(platform)),
        ):
            found = await self.bus.read(ADDRESSES[name])
            if found != expected:
                raise PlatformError(
                    f"register {name} is {found:#x}, not {expected:#x}: use a program and a driver "
                    "for this platform"
                )

    async def start(self, program: Area, inputs: Area, outputs: Area, *, timeout: int = 0) -> None:
        """Start a program.

        ``timeout`` are the cycles after which a bus that does not move has failed; 0: never.

        Raises
        ------
        PlatformError
            A program runs, or a memory does not begin at a multiple of 4096.

        """
        if await self.bus.read(ADDRESSES["status"]) & BUSY:
            raise PlatformError("the platform is busy: wait for its interrupt, or abort")
        for name, area in (("program", program), ("input", inputs), ("output", outputs)):
            if area.address % MEMORY_ALIGNMENT:
                raise PlatformError(
                    f"the {name} memory begins at {area.address:#x}: use a multiple of "
                    f"{MEMORY_ALIGNMENT}"
                )
            await self.bus.write(ADDRESSES[f"{name}_base_low"], area.address & 0xFFFF_FFFF)
            await self.bus.write(ADDRESSES[f"{name}_base_high"], area.address >> 32)
            await self.bus.write(ADDRESSES[f"{name}_size"], -(-area.size // 16))
        await self.bus.write(ADDRESSES["timeout"], timeout)
        await self.bus.write(ADDRESSES["interrupt_status"], EVENTS)
        await self.bus.write(ADDRESSES["interrupt_enable"], EVENTS)
        await self.bus.write(ADDRESSES["control"], START)

    async def abort(self) -> None:
        """End the program that runs."""
        await self.bus.write(ADDRESSES["control"], ABORT)

    async def wait(self) -> RunError | None:
        """Wait for the interrupt, clear it, and return why the program was stopped, if it was."""
        await self.interrupt()
        await self.bus.write(ADDRESSES["interrupt_status"], EVENTS)
        return await self.error()

    async def error(self) -> RunError | None:
        """Return why the last program was stopped, if it was."""
        if not await self.bus.read(ADDRESSES["status"]) & FAILED:
            return None
        return RunError.decoded(await self.bus.read(ADDRESSES["error"]))

    async def counters(self) -> Cycles:
        """Return the counters of the last run."""
        return Cycles(
            total=await self._wide("cycles"),
            classes={name: await self._wide(name) for name in COUNTERS},
            read_beats=await self._wide("read_beats"),
            write_beats=await self._wide("write_beats"),
        )

    async def _wide(self, name: str) -> int:
        low = await self.bus.read(ADDRESSES[f"{name}_low"])
        return low | await self.bus.read(ADDRESSES[f"{name}_high"]) << 32
