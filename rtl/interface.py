"""What crosses the tile's ports."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, enum

from adq.rtl.parameters import TileParameters

__all__ = ["Counter", "Status", "activation_layout", "job_layout", "result_layout", "weight_layout"]


class Status(enum.Enum, shape=3):
    """What became of a job. Whatever is not ``OK`` names the field that was out of range: the
    job then took no weights and no activations, and gives one result beat whose outputs mean
    nothing.
    """

    OK = 0
    WEIGHT_BITS = 1
    ACTIVATION_BITS = 2
    VECTORS = 3
    ROW_BLOCKS = 4


class Counter(enum.IntEnum):
    """Addresses of the performance counters. Every cycle since reset is counted by exactly one
    of the first six.
    """

    RUNNING = 0
    STALLED_ON_WEIGHTS = 1
    STALLED_ON_ACTIVATIONS = 2
    STALLED_ON_RESULTS = 3
    SWITCHING_JOBS = 4
    IDLE = 5
    PLANES_SKIPPED = 6
    JOBS_DONE = 7


def job_layout(parameters: TileParameters) -> data.StructLayout:
    """A job: precisions, sign of the activations, vectors and row blocks.

    Its fields can hold values that the tile refuses; see :class:`Status`.
    """
    return data.StructLayout(
        {
            "weight_bits": unsigned(5),
            "activation_bits": unsigned(5),
            "signed": unsigned(1),
            "vectors": unsigned(parameters.vectors.bit_length()),
            "row_blocks": unsigned((parameters.row_blocks + 1).bit_length()),
        }
    )


def weight_layout(parameters: TileParameters) -> data.ArrayLayout:
    """A beat of weights: the next ``rows_per_beat`` rows, lowest first.

    Output ``j`` of a ``kw``-bit job has its weights in columns ``j*kw`` to ``j*kw + kw - 1``,
    least significant bit first, in two's complement. Rows past the last are ignored.
    """
    return data.ArrayLayout(unsigned(parameters.columns), parameters.rows_per_beat)


def activation_layout(parameters: TileParameters) -> data.ArrayLayout:
    """A beat of activations: one vector, a word a row, of which the tile reads the low
    ``activation_bits`` (two's complement where the job says signed).
    """
    return data.ArrayLayout(unsigned(parameters.max_activation_bits), parameters.rows)


def result_layout(parameters: TileParameters) -> data.StructLayout:
    """A beat of results: one vector. Output ``j`` of a ``kw``-bit job is in lane ``j*kw/2``, the
    lane of its lowest pair of columns; the other lanes mean nothing.
    """
    return data.StructLayout(
        {
            "outputs": data.ArrayLayout(signed(parameters.accumulator_width), parameters.lanes),
            "last": unsigned(1),  # of its job
            "status": Status,
        }
    )
