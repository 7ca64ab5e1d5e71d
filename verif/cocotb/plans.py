"""Jobs as lists of planes with their tags, for tests of the sequencer and the blocks after it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from amaranth.lib.data import Layout

from adq.rtl.interface import Status, job_layout
from adq.rtl.plane_tag import PlaneTag
from adq.verif.cocotb.bench import TILE, pack

__all__ = ["MOST_VECTORS", "JobPlan", "malformed_plans", "random_plan", "tag_beat"]

MOST_VECTORS = min(TILE.partial_sums or TILE.vectors, TILE.vectors)
"""Maximum number of vectors of a job with any number of row blocks."""


@dataclass
class JobPlan:
    """A job and the plane indices of its vectors.

    ``planes`` is nested by row block, vector and plane. A malformed job has no planes.
    """

    weight_bits: int
    activation_bits: int
    signed: int
    vectors: int
    row_blocks: int
    status: Status = Status.OK
    planes: list[list[list[int]]] = field(default_factory=list)

    @property
    def beat(self) -> int:
        """Beat of the job stream."""
        layout = job_layout(TILE)
        return pack(layout, {name: getattr(self, name) for name, _ in layout})

    def tags(self) -> Iterator[dict[str, int]]:
        """Yield the expected tag fields of each plane, in order."""
        if self.status != Status.OK:
            ones = ("zero", "first", "last", "first_block", "last_block")
            yield dict.fromkeys(ones, 1) | {"weight_bits": 0, "status": self.status.value}
        for block, vectors in enumerate(self.planes):
            for vector, indices in enumerate(vectors):
                for index in indices:
                    yield {
                        "first": int(index == indices[0]),
                        "last": int(index == indices[-1]),
                        "negative": int(self.signed and index == self.activation_bits - 1),
                        "first_block": int(block == 0),
                        "last_block": int(block == self.row_blocks - 1),
                        "last_vector": int(vector == self.vectors - 1),
                        "weight_bits": 1 << TILE.weight_widths.index(self.weight_bits),
                        "status": Status.OK.value,
                    }


def random_plan(
    random: Random, *, vectors: int, row_blocks: int, activation_bits: int = 0
) -> JobPlan:
    """Return a random job whose vectors have random numbers of planes."""
    bits = activation_bits or random.randint(1, TILE.max_activation_bits)
    planes = [
        [list(range(random.randint(1, bits))) for _ in range(vectors)] for _ in range(row_blocks)
    ]
    return JobPlan(
        weight_bits=random.choice(TILE.weight_widths),
        activation_bits=bits,
        signed=random.randrange(2),
        vectors=vectors,
        row_blocks=row_blocks,
        planes=planes,
    )


def beyond(limit: int, most: int) -> list[int]:
    """Return numbers from ``limit + 1`` to ``most``: both ends, and those with one bit more."""
    numbers = {limit + 1, most, *(limit | 1 << bit for bit in range(most.bit_length()))}
    numbers |= {limit + (1 << bit) for bit in range(most.bit_length())}
    return sorted(number for number in numbers if limit < number <= most)


def malformed_plans() -> list[JobPlan]:
    """Return malformed jobs with the expected status.

    They cover every invalid weight width and activation width, and values outside the other limits.
    If several fields are invalid, the status names the one that is checked first.
    """
    fields = job_layout(TILE)
    most = {name: 2 ** fields[name].width - 1 for name in ("vectors", "row_blocks")}
    good = {"weight_bits": 4, "activation_bits": 4, "signed": 0, "vectors": 1, "row_blocks": 1}
    cases = [
        *(({"weight_bits": n}, Status.WEIGHT_BITS) for n in set(range(32)) - {2, 4, 8, 16}),
        *(({"activation_bits": n}, Status.ACTIVATION_BITS) for n in (0, *range(17, 32))),
        *(
            ({"row_blocks": n}, Status.ROW_BLOCKS)
            for n in (0, *beyond(TILE.row_blocks, most["row_blocks"]))
        ),
        *(({"vectors": n}, Status.VECTORS) for n in (0, *beyond(TILE.vectors, most["vectors"]))),
        ({"weight_bits": 0, "activation_bits": 0, "vectors": 0}, Status.WEIGHT_BITS),
        ({"activation_bits": 0, "row_blocks": 0, "vectors": 0}, Status.ACTIVATION_BITS),
        ({"row_blocks": 0, "vectors": 0}, Status.ROW_BLOCKS),
    ]
    if TILE.row_blocks > 1:
        cases += [
            ({"vectors": n, "row_blocks": blocks}, Status.VECTORS)
            for n in beyond(TILE.partial_sums, TILE.vectors)
            for blocks in {2, TILE.row_blocks}
        ]
    return [JobPlan(**good | change, status=status) for change, status in cases]


def tag_beat(random: Random, tag: dict[str, int] | None) -> int:
    """Return a tag as a port value, or an invalid tag if ``tag`` is None.

    Fields that are not given are random.
    """
    noise = {name: random.getrandbits(member.width) for name, member in Layout.cast(PlaneTag)}
    return pack(PlaneTag, noise | (tag or {}) | {"valid": int(tag is not None)})
