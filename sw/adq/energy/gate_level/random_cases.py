"""Random jobs that characterize a tile: precisions, densities, weights and words of many kinds."""

import itertools
import json
from dataclasses import asdict, dataclass

import numpy as np

from adq.rtl.parameters import TileParameters
from adq.verif.operands.jobs import Job

__all__ = ["RandomCase", "random_cases"]

BITS = (2, 4, 8, 16)
"""Weight and activation bits of the random jobs."""

DENSITIES = (0.0, 0.1, 0.3, 0.5, 0.75, 1.0)
"""Shares of their activation words that are not zero."""

WEIGHTS = ("uniform", "normal")
"""Random weights: all equally likely, half of whose bits are 1; or, as trained ones are, most of
them small."""

FEW = 1 / 7
"""Share of the rows that a first layer uses: those of a 3x3 kernel on a grey image, of 64."""

VECTORS = 48
"""Vectors of a job of up to 8 activation bits: its first and last cycles then do not matter."""

LEAST_VECTORS = 16

GREYS = 16
"""Levels of a grey image."""

LOADS = 4
"""Jobs that follow each other, each of which overwrites the weights of the one before the last."""


@dataclass(frozen=True)
class RandomCase:
    """A run: jobs whose random operands follow from what stands here.

    Attributes
    ----------
    weights : ``uniform`` or ``normal``
    density : share of the activation words of each vector that are not zero
    signed : whether activations are
    used : share of the rows that have weights and activations at all
    loads : jobs, each with weights of its own; if several, they are short
    words : ``uniform``, any but 0; ``any``, 0 too, so that at all precisions half of the bits are
        set; ``small``, as activations are: the larger, the rarer; or ``grey``, as images are: 16
        levels, bright in some vectors and dark in others
    """

    weights: str
    weight_bits: int
    activation_bits: int
    density: float
    signed: bool = False
    used: float = 1.0
    loads: int = 1
    words: str = "uniform"
    seed: int = 1

    @property
    def name(self) -> str:
        """A name for people."""
        bits = f"{self.weight_bits}x{self.activation_bits} bits"
        signed = ", signed" if self.signed else ""
        used = f", {self.used:.0%} of the rows" if self.used < 1 else ""
        loads = f", {self.loads} jobs" if self.loads > 1 else ""
        words = f", {self.words} words" if self.words != "uniform" else ""
        return (
            f"{self.weights} weights, {bits}, density {self.density:g}{signed}{used}{loads}{words}"
        )

    @property
    def identity(self) -> str:
        """All that the jobs follow from, beside the tile."""
        return json.dumps(asdict(self) | {"vectors": self.vectors}, sort_keys=True)

    def absolute(self) -> "RandomCase":
        """Return the case for a process in another folder."""
        return self

    @property
    def vectors(self) -> int:
        """Vectors of a job."""
        return max(LEAST_VECTORS, VECTORS * 8 // max(8, self.activation_bits) // self.loads)

    def jobs(self, tile: TileParameters) -> list[Job]:
        """Return the jobs, of one row block each."""
        rng = np.random.default_rng([self.seed, self.weight_bits, self.activation_bits])
        return [self._job(tile, rng) for _ in range(self.loads)]

    def _job(self, tile: TileParameters, rng: np.random.Generator) -> Job:
        rows = max(1, round(self.used * tile.rows))
        vectors = self.vectors
        high = 2**self.activation_bits
        words = rng.integers(1, high, (1, vectors, tile.rows))  # none of them 0
        if self.words == "small":
            words = np.minimum(1 + rng.exponential(high / 8, words.shape).astype(int), high - 1)
        elif self.words == "grey":
            brightest = rng.integers(1, GREYS, (1, vectors, 1))
            levels = rng.integers(1, brightest + 1, words.shape)
            words = np.maximum(1, levels * (high - 1) // (GREYS - 1))
        elif self.words == "any":
            words = rng.integers(0, high, words.shape)
        words -= high // 2 * (self.signed & (words >= high // 2)) * 2
        # As many of each vector as the density says, in places of their own.
        places = rng.permuted(np.broadcast_to(np.arange(rows), (1, vectors, rows)), axis=2)
        words[:, :, :rows] *= places < round(self.density * rows)
        limit = 2 ** (self.weight_bits - 1)
        shape = (1, tile.rows, tile.outputs(self.weight_bits))
        if self.weights == "normal":
            drawn = np.rint(rng.normal(0, limit / 3, shape)).astype(np.int64)
            weights = np.clip(drawn, -limit, limit - 1)
        else:
            weights = rng.integers(-limit, limit, shape)
        weights[:, rows:], words[:, :, rows:] = 0, 0
        return Job(self.weight_bits, self.activation_bits, self.signed, weights, words)


def random_cases(every: int = 1) -> list[RandomCase]:
    """Return every pair of precisions at every density, with both kinds of weights; signed, and on
    few rows, as first layers are; short jobs that overwrite each other's weights; words of which
    some planes are emptier than others; and words of any value. ``every`` takes one case of so
    many, and all of the widest weights and activations, which most energy is spent on, and those
    that tables tell: as many weight as activation bits, and half of the words zero.
    """
    cases = []
    for weight_bits, activation_bits in itertools.product(BITS, BITS):
        bits = (weight_bits, activation_bits)
        cases += [RandomCase(w, *bits, density) for density in DENSITIES for w in WEIGHTS]
        cases += [
            RandomCase("normal", *bits, density, signed, used)
            for signed, used in ((True, 1.0), (False, FEW), (True, FEW))
            for density in (0.5, 1.0)
        ]
        cases += [
            RandomCase("normal", *bits, density, loads=LOADS, used=used)
            for density, used in ((0.5, 1.0), (0.25, 1.0), (0.5, FEW))
        ]
        cases += [
            RandomCase("normal", *bits, density, used=used, words=words)
            for density, used, words in (
                *((0.1, 1.0, "small"), (0.5, 1.0, "small")),
                *((0.5, 1.0, "grey"), (0.5, FEW, "grey")),
            )
        ]
    cases = [
        case
        for place, case in enumerate(cases)
        if place % every == 0
        or case.weight_bits == case.activation_bits == max(BITS)
        or case == RandomCase("uniform", case.weight_bits, case.weight_bits, 0.5)
    ]
    return cases + [RandomCase("uniform", bits, bits, 1.0, words="any") for bits in BITS]
