"""Functional coverage: bins of what jobs requested from the tile, and under which circumstances.

A bin is reached by a job whose results were compared and right. What a job met is observed on the
streams, not taken from what its test meant to do.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from adq.golden.files.json_reader import JsonObject
from adq.verif.operands.jobs import Job

__all__ = [
    "DENSITIES",
    "GROUPS",
    "Group",
    "JobSample",
    "bin_names",
    "density_class",
    "refusal_bin",
    "report",
    "reset_bin",
]

WEIGHT_BITS = (2, 4, 8, 16)
ACTIVATION_BITS = tuple(range(1, 17))
SIGNS = ("unsigned", "signed")
DENSITIES = ("zero", "sparse", "dense")
BLOCKS = ("one block", "two blocks", "more blocks")
VECTORS = ("one vector", "more vectors")
OPERANDS = ("in time", "late")
RESULTS = ("taken", "waiting")
MOMENTS = ("loading", "computing", "leaving", "waiting")
WIDTHS = ("fewer bits", "16 bits")
REFUSALS = ("WEIGHT_BITS", "ACTIVATION_BITS", "VECTORS", "ROW_BLOCKS")


def activation_class(bits: int) -> str:
    """Return the class of a number of activation bits, used where bins are crossed."""
    ends = (1, 4, 8, 15, 16)
    first = 1
    for last in ends:
        if bits <= last:
            return f"{first}" if first == last else f"{first}-{last}"
        first = last + 1
    raise ValueError(f"activations of {bits} bits")


def density_class(nonzero: float) -> str:
    """Return the class of a share of non-zero activations."""
    if not nonzero:
        return "zero"
    return "sparse" if nonzero <= 0.25 else "dense"


ACTIVATION_CLASSES = tuple(dict.fromkeys(map(activation_class, ACTIVATION_BITS)))


@dataclass(frozen=True)
class Group:
    """A group of bins that cross some circumstances."""

    name: str
    promise: str
    axes: tuple[tuple[str, ...], ...]
    pattern: str
    """Pattern of a bin's name, with a pair of braces for each axis."""

    def bins(self) -> list[str]:
        """Return the names of all bins of the group."""
        return [self.bin(*values) for values in itertools.product(*self.axes)]

    def bin(self, *values: object) -> str:
        """Return the name of a bin."""
        return f"{self.name} {self.pattern.format(*values)}"


def _group(name: str, promise: str, pattern: str, *axes: Iterable[object]) -> Group:
    return Group(name, promise, tuple(tuple(map(str, axis)) for axis in axes), pattern)


GROUPS: dict[str, Group] = {
    group.name: group
    for group in (
        _group(
            "precision",
            "every weight width by every number of activation bits and sign",
            "{}x{} {}",
            *(WEIGHT_BITS, ACTIVATION_BITS, SIGNS),
        ),
        _group(
            "density",
            "activations all zero, few and many, at every weight width and sign",
            "{} bits {} {}",
            *(WEIGHT_BITS, SIGNS, DENSITIES),
        ),
        _group(
            "shape",
            "row blocks by vectors at every weight width",
            "{} bits {} {}",
            *(WEIGHT_BITS, BLOCKS, VECTORS),
        ),
        _group(
            "pressure",
            "operands late or not by results waiting or not, at every weight width",
            "{} bits {} operands {} results {}",
            *(WEIGHT_BITS, ("one block", "several blocks"), OPERANDS, RESULTS),
        ),
        _group(
            "job",
            "weight bits, activation bits, sign, density, row blocks and back-pressure at once",
            "{}x{} {} {} {} results {}",
            *(WEIGHT_BITS, ACTIVATION_CLASSES, SIGNS, DENSITIES),
            *(("one block", "several blocks"), RESULTS),
        ),
        _group(
            "change",
            "every weight width behind every other",
            "{} after {} bits",
            *(WEIGHT_BITS, WEIGHT_BITS),
        ),
        _group(
            "refusal",
            "every reason to refuse a job, its beat taken at once or waiting",
            "{} results {}",
            *(REFUSALS, RESULTS),
        ),
        _group(
            "reset",
            "a reset while weights load, planes run, results leave or one of them waits, in a job "
            "of 16 bits or of fewer",
            "{} {}",
            *(MOMENTS, WIDTHS),
        ),
    )
}
"""All groups, by name."""


def bin_names() -> Iterator[str]:
    """Return the names of all bins."""
    for group in GROUPS.values():
        yield from group.bins()


@dataclass(frozen=True, kw_only=True)
class JobSample:
    """A job with correct results, and its circumstances."""

    weight_bits: int
    activation_bits: int
    signed: bool
    nonzero: float
    """Share of its activations that are not zero."""
    vectors: int
    row_blocks: int
    late: bool = False
    """Weights or activations were waited for in the middle of it."""
    waiting: bool = False
    """A result was not taken at once."""
    before: int | None = None
    """Weight bits of the good job before it, since reset."""

    @classmethod
    def of(
        cls, job: Job, *, late: bool = False, waiting: bool = False, before: int | None = None
    ) -> "JobSample":
        """Create the sample of a job and its circumstances."""
        row_blocks, vectors, _ = job.activations.shape
        return cls(
            weight_bits=job.weight_bits,
            activation_bits=job.activation_bits,
            signed=bool(job.signed),
            nonzero=float((job.activations != 0).mean()),
            vectors=vectors,
            row_blocks=row_blocks,
            late=late,
            waiting=waiting,
            before=before,
        )

    def bins(self) -> list[str]:
        """Return the names of the bins that the job reaches."""
        sign, density = SIGNS[self.signed], density_class(self.nonzero)
        blocks = BLOCKS[min(self.row_blocks, 3) - 1]
        several = "one block" if self.row_blocks == 1 else "several blocks"
        vectors = VECTORS[self.vectors > 1]
        operands, results = OPERANDS[self.late], RESULTS[self.waiting]
        kw, kx = self.weight_bits, self.activation_bits
        reached = [
            GROUPS["precision"].bin(kw, kx, sign),
            GROUPS["density"].bin(kw, sign, density),
            GROUPS["shape"].bin(kw, blocks, vectors),
            GROUPS["pressure"].bin(kw, several, operands, results),
            GROUPS["job"].bin(kw, activation_class(kx), sign, density, several, results),
        ]
        if self.before is not None:
            reached.append(GROUPS["change"].bin(kw, self.before))
        return reached


def refusal_bin(status: str, *, waiting: bool) -> str:
    """Return the bin of a refused job, by the name of its status."""
    return GROUPS["refusal"].bin(status, RESULTS[waiting])


def reset_bin(moment: str, weight_bits: int) -> str:
    """Return the bin of a reset: the state of the tile, and its weights' width."""
    return GROUPS["reset"].bin(moment, WIDTHS[weight_bits == 16])


def report(hits: Mapping[str, int]) -> list[JsonObject]:
    """Return for each group the number of bins reached, the number of all bins, and the names of
    missing bins.
    """
    counts = Counter(hits)
    table = []
    for group in GROUPS.values():
        names = group.bins()
        missing = [name for name in names if not counts[name]]
        table.append(
            {
                "name": group.name,
                "promise": group.promise,
                "hit": len(names) - len(missing),
                "total": len(names),
                "missing": missing,
            }
        )
    return table
