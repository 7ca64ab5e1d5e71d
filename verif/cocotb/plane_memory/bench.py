"""Bench of the plane memory."""

from collections.abc import Mapping

from adq.rtl.platform.planes.plane_memory import fetch_layout, write_layout
from adq.verif.cocotb.bench import Bench, pack
from adq.verif.cocotb.plane_memory.sizes import PLANE_MEMORIES

__all__ = ["PlaneMemoryBench"]

Fetch = Mapping[str, int]
Write = Mapping[str, int]


class PlaneMemoryBench(Bench):
    """Fetches, reads and writes in the same cycles, beside a list of words."""

    def __init__(self, dut, block: str):
        self.block = block  # before ports are looked up
        super().__init__(dut)
        self.parameters = p = PLANE_MEMORIES[block]
        self.ports = range(p.units)
        self.words = p.plane_memory_words
        self.quiet = {
            f"{name}__{port}{field}": 0
            for port in self.ports
            for name, fields in {
                "fetches": [""],
                "reads": ["__valid", "__payload"],
                "writes": ["__valid", "__payload"],
            }.items()
            for field in fields
        }
        self.memory: list[int | None] = [None] * self.words
        self.standing: list[list[tuple[int, int | None] | None]] = [[None] * 2 for _ in self.ports]
        """Bank and word of the two words of each port's last fetch; None where any may stand."""
        self.read_words: list[int | None] = [None for _ in self.ports]

    def bank(self, address: int) -> int:
        """Return the bank of a word: rows of banks are rotated against each other by one."""
        banks = self.parameters.plane_banks
        return (address + address // banks) % banks if banks > 2 else address % banks

    def address(self) -> int:
        """Draw an address."""
        return self.random.randrange(self.words)

    def random_fetch(self, address: int | None = None) -> dict[str, int]:
        """Draw a fetch; most are of two words."""
        first, second = self.random.choice(((1, 1), (1, 1), (1, 0), (0, 1)))
        address = self.address() if address is None else address
        return {"address": address, "first": first, "second": second}

    def random_write(self, address: int | None = None) -> dict[str, int]:
        """Draw a write, of a whole word or of some of its bits."""
        bits = self.parameters.rows
        mask = self.random.choice((2**bits - 1, self.random.getrandbits(bits)))
        address = self.address() if address is None else address
        return {"address": address, "word": self.random.getrandbits(bits), "mask": mask}

    async def fill(self):
        """Write random words everywhere."""
        whole = 2**self.parameters.rows - 1
        for address in range(self.words):
            await self.step(writes={0: {**self.random_write(address), "mask": whole}})

    async def step(
        self,
        fetches: Mapping[int, Fetch] | None = None,
        reads: Mapping[int, int] | None = None,
        writes: Mapping[int, Write] | None = None,
    ) -> set[int]:
        """Run a cycle with what some ports want, and compare what they are given, and the words of
        the cycle before. Return the ports whose reads were taken.

        What is not asked for is noise.
        """
        fetches, reads, writes = fetches or {}, reads or {}, writes or {}
        fetch_shape = fetch_layout(self.parameters.address_bits)
        write_shape = write_layout(self.parameters.address_bits, self.parameters.rows)
        inputs = {}
        for port in self.ports:
            noise = {"address": self.address(), "first": 0, "second": 0}
            inputs[f"fetches__{port}"] = pack(fetch_shape, fetches.get(port, noise))
            for name, wishes in (("reads", reads), ("writes", writes)):
                inputs[f"{name}__{port}__valid"] = int(port in wishes)
                inputs[f"{name}__{port}__payload"] = self.noise(f"{name}__{port}__payload")
        inputs |= {f"reads__{port}__payload": address for port, address in reads.items()}
        inputs |= {f"writes__{port}__payload": pack(write_shape, w) for port, w in writes.items()}
        await self.cycle(**inputs)
        self.compare_words()

        # Earlier ports come first, whether they are served or not; fetches come before reads.
        asked: set[int] = set()
        used: set[int] = set()
        granted = []
        for port in self.ports:
            banks = self.banks(fetches.get(port))
            served = not banks & asked
            assert self.read("granted") >> port & 1 == served, f"fetch of port {port}"
            asked |= banks
            if served and banks:
                used |= banks
                granted.append(port)
        ready = self.served(reads, used)
        for port in reads:
            assert self.read(f"reads__{port}__ready") == (port in ready), f"read of port {port}"
        used |= {self.bank(reads[port]) for port in ready}
        written = self.served({port: each["address"] for port, each in writes.items()}, set())
        for port in writes:
            assert self.read(f"writes__{port}__ready") == (port in written), f"write of port {port}"

        self.standing = [
            [None if each is None or each[0] in used else each for each in words]
            for words in self.standing
        ]
        for port in granted:
            self.standing[port] = self.found(fetches[port])
        self.read_words = [
            self.memory[reads[port]] if port in ready else None for port in self.ports
        ]
        for port in written:
            self.store(writes[port])
        return ready

    def compare_words(self):
        """Compare the words at the ports."""
        bits = self.parameters.rows
        for port in self.ports:
            words = self.read(f"words__{port}")
            for place, each in enumerate(self.standing[port]):
                found = words >> place * bits & (2**bits - 1)
                assert each is None or each[1] in (None, found), f"word {place} of port {port}"
            expected = self.read_words[port]
            assert expected is None or self.read(f"read_words__{port}") == expected, port

    def banks(self, fetch: Fetch | None) -> set[int]:
        """Return the banks that a fetch asks for."""
        if fetch is None:
            return set()
        parts = [fetch["first"], fetch["second"]]
        return {self.bank(fetch["address"] + place) for place in (0, 1) if parts[place]}

    def found(self, fetch: Fetch) -> list[tuple[int, int | None] | None]:
        """Return bank and word of both words of a fetch."""
        parts = [fetch["first"], fetch["second"]]
        addresses = [fetch["address"], fetch["address"] + 1]
        return [
            (self.bank(address), self.memory[address]) if part and address < self.words else None
            for part, address in zip(parts, addresses, strict=True)
        ]

    def served(self, addresses: Mapping[int, int], used: set[int]) -> set[int]:
        """Return the ports that are served: of each bank that is not used, the first that wants
        it.
        """
        first: dict[int, int] = {}
        for port in sorted(addresses, reverse=True):
            first[self.bank(addresses[port])] = port
        return {port for bank, port in first.items() if bank not in used}

    def store(self, write: Write):
        """Write into the list of words."""
        before = self.memory[write["address"]]
        if before is not None or write["mask"] == 2**self.parameters.rows - 1:
            kept = (before or 0) & ~write["mask"]
            self.memory[write["address"]] = kept | write["word"] & write["mask"]
