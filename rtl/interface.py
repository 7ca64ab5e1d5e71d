"""Payload layouts, status codes and counter addresses of the tile's ports."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, enum

from adq.rtl.parameters import TileParameters

__all__ = ["Counter", "Status", "activation_layout", "job_layout", "result_layout", "weight_layout"]


class Status(enum.Enum, shape=3):
    """Status of a job, reported with its results.

    A status other than ``OK`` names the job field that was out of range. The tile then consumes no
    weights and no activations for the job, and returns one result beat with undefined outputs.
    """

    OK = 0
    WEIGHT_BITS = 1
    ACTIVATION_BITS = 2
    VECTORS = 3
    ROW_BLOCKS = 4


class Counter(enum.IntEnum):
    """Addresses of the performance counters.

    Exactly one of the first six counters increments in each cycle after reset.
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
    """Return the layout of a job: precisions, activation sign, vectors and row blocks.

    The fields can encode values that the tile rejects; see :class:`Status`.
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
    """Return the layout of a weight beat: the next ``rows_per_beat`` rows, lowest row first.

    Output ``j`` of a ``kw``-bit job has its weights in columns ``j*kw`` to ``j*kw + kw - 1``,
    least significant bit first, in two's complement. Rows beyond ``rows`` are ignored.
    """
    return data.ArrayLayout(unsigned(parameters.columns), parameters.rows_per_beat)


def activation_layout(parameters: TileParameters) -> data.ArrayLayout:
    """Return the layout of an activation beat: one vector, with one word per row.

    The tile reads the low ``activation_bits`` bits of each word, in two's complement if the job is
    signed.
    """
    return data.ArrayLayout(unsigned(parameters.max_activation_bits), parameters.rows)


def result_layout(parameters: TileParameters) -> data.StructLayout:
    """Return the layout of a result beat: the outputs of one vector, its status and ``last``.

    Output ``j`` of a ``kw``-bit job is in lane ``j*kw/2``, the lane of its lowest pair of columns.
    The other lanes are undefined.
    """
    return data.StructLayout(
        {
            "outputs": data.ArrayLayout(signed(parameters.accumulator_width), parameters.lanes),
            "last": unsigned(1),  # last beat of the job
            "status": Status,
        }
    )
