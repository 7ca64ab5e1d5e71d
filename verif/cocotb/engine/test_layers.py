"""Test of the engine: layers of chosen precisions, whose switching is counted."""

import os
from pathlib import Path

import cocotb

from adq.golden.files.writing import write_json
from adq.rtl.platform.descriptors import DESCRIPTOR_BYTES, Mode
from adq.verif.cocotb.engine.bench import PLATFORM, EngineBench, random_program
from adq.verif.cocotb.random_layers import random_layer
from adq.verif.simulation.testpoints import shows

SIZES = {2: (16, 3, 7), 4: (16, 2, 7), 8: (8, 2, 6), 16: (4, 2, 5)}
"""Outputs, side of the kernel and of the source, by precision: one or two thousand planes each."""


def chosen(bits: int, **fixed: int) -> dict[str, int]:
    """Return fields of a layer whose results need about as many bits as its weights."""
    outputs, kernel, side = SIZES[bits]
    return {
        "weight_bits": bits,
        "source_planes": bits,
        "target_planes": bits,
        "skip": 0,
        "source_pitch": PLATFORM.rows,
        "source_words": 1,
        "target_pitch": PLATFORM.rows,
        "target_channel": 0,
        "source_height": side,
        "source_width": side,
        "outputs": outputs,
        **dict.fromkeys(("kernel_height", "kernel_width"), kernel),
        **dict.fromkeys(("stride_y", "stride_x", "dilation_y", "dilation_x"), 1),
        **dict.fromkeys(("padding_y", "padding_x"), 1),
        **dict.fromkeys(("pool_height", "pool_width", "pool_stride_y", "pool_stride_x"), 1),
        **dict.fromkeys(("pool_padding_y", "pool_padding_x"), 0),
        "accumulator_bits": min(2 * bits + 8, PLATFORM.accumulator_bits),
        "shift": bits + 21,
        "skip_shift": 4,
        "images_log": 0,
        "stacked": int(PLATFORM.stack > 1),
        "split": 1,
    } | fixed


@shows("platform.engine")
@cocotb.test()
async def layers(dut):
    """Run layers of each precision over a plane memory of random words.

    The cycles in which each layer ran are written beside the waveform, with its descriptor.
    """
    bench = EngineBench(dut, watched=False)
    await bench.start()
    pooling = dict.fromkeys(("pool_height", "pool_width", "pool_stride_y", "pool_stride_x"), 2)
    all_fixed = [
        *(chosen(bits) for bits in SIZES),
        *(chosen(bits, skip=1, skip_planes=bits, skip_pitch=PLATFORM.rows) for bits in SIZES),
        *(chosen(bits, source_signed=1, **pooling) for bits in (2, 4, 8)),
        chosen(16, mode=Mode.RAW, source_planes=4, target_pitch=4),
        chosen(2, mode=Mode.TABLE, source_planes=4),
        *(chosen(bits, mode=Mode.THRESHOLDS, target_planes=2) for bits in (2, 4)),
        chosen(2, mode=Mode.THRESHOLDS, **pooling),
    ]
    drawn = [random_layer(bench.random, PLATFORM, work=10**6, **fixed) for fixed in all_fixed]
    program, inputs, size = random_program(bench.rng, drawn, PLATFORM.plane_memory_words)
    # The memory is filled once: layers work on what those before left.
    each = DESCRIPTOR_BYTES
    count = 2 * len(drawn)
    kept = [program[:each], *(program[each * n : each * (n + 1)] for n in range(1, count, 2))]
    kept += [program[each * count : each * (count + 1)]] * (count + 1 - len(kept))
    program = b"".join(kept) + program[each * (count + 1) :]
    await bench.run(program, inputs, size)
    spans = [
        {"layer": vars(layer), "first": first, "last": last}
        for layer, (first, last) in zip(drawn, bench.spans, strict=True)
    ]
    write_json(Path(os.environ["ADQ_SPANS"]) / "spans.json", spans)
