"""The regression's tests of the tile's ports, on the Verilog that is written for others."""

import pytest

from adq.rtl.axi_stream import PREFIXES, AxiStreamTile, stream_bits, stream_fields
from adq.rtl.interface import activation_layout, job_layout, result_layout, weight_layout
from adq.rtl.parameters import TileParameters
from adq.verif.signoff.regression.runs import PORTS
from adq.verif.simulation.environment import tile_environment
from adq.verif.simulation.simulator import build
from adq.verif.verilog.portable import portable_verilog
from tests.places import MODELS

pytestmark = [pytest.mark.testpoint("tile.verilog"), pytest.mark.slow]

LAYOUTS = {
    "jobs": job_layout,
    "weights": weight_layout,
    "activations": activation_layout,
    "results": result_layout,
}


def tile_behind_streams(parameters) -> str:
    """Verilog of a module ``tile`` that holds ``adq_tile`` and has the project's own ports."""
    ports = ["input clk", "input rst", "input [2:0] counter_address"]
    ports += [f"output [{parameters.counter_bits - 1}:0] counter_data"]
    wires, instance, assigns = [], [".aclk(clk)", ".aresetn(!rst)"], []
    instance += [".counter_address(counter_address)", ".counter_data(counter_data)"]
    for stream, prefix in PREFIXES.items():
        bits, own = stream_bits(parameters, stream), LAYOUTS[stream](parameters).size
        forward, backward = ("output", "input") if stream == "results" else ("input", "output")
        ports += [
            f"{forward} [{own - 1}:0] {stream}__payload",
            f"{forward} {stream}__valid",
            f"{backward} {stream}__ready",
        ]
        wires.append(f"wire [{bits - 1}:0] {stream}_tdata;")
        instance += [
            f".{prefix}_tdata({stream}_tdata)",
            f".{prefix}_tvalid({stream}__valid)",
            f".{prefix}_tready({stream}__ready)",
        ]
        if stream == "results":
            instance.append(f".{prefix}_tlast(last)")
            wires.append("wire last;")
        for field in (each for each in stream_fields(parameters) if each.stream == stream):
            for number in range(field.count):
                low, source = (
                    field.offset + number * field.size,
                    field.source + number * field.width,
                )
                in_port = f"{stream}__payload[{source} +: {field.width}]"
                if stream == "results":
                    assigns.append(f"{in_port} = {stream}_tdata[{low} +: {field.width}]")
                else:
                    assigns.append(f"{stream}_tdata[{low} +: {field.width}] = {in_port}")
                    if field.size > field.width:
                        padding = field.size - field.width
                        assigns.append(f"{stream}_tdata[{low + field.width} +: {padding}] = 0")
    last = result_layout(parameters)["last"].offset
    assigns.append(f"results__payload[{last}] = last")
    lines = [f"module tile({', '.join(ports)});", *wires]
    lines += [f"adq_tile axi({', '.join(instance)});"]
    return "\n".join([*lines, *(f"assign {each};" for each in assigns), "endmodule", ""])


SIZES = {
    "16x16": TileParameters(rows=16, columns=16),
    "5x48": TileParameters(rows=5, columns=48, row_blocks=3, partial_sums=7, vectors=9),
}


@pytest.mark.parametrize("size", SIZES)
def test_port_tests_pass_whatever_registers_and_memories_hold_at_power_up(size, tmp_path):
    tile = SIZES[size]
    model = build(
        MODELS,
        top="tile",
        ports=PORTS,
        sources={
            "adq_tile.v": portable_verilog(AxiStreamTile(tile), name="adq_tile"),
            "tile.v": tile_behind_streams(tile),
        },
        arguments=["--x-assign", "unique", "--x-initial", "unique"],
    )
    for seed in (1, 2, 3):
        tests, failures = model.run(
            "adq.verif.cocotb.tile.test_tile",
            directory=tmp_path / f"seed{seed}",
            environment=tile_environment(tile),
            seed=seed,
            plusargs=["+verilator+rand+reset+2", f"+verilator+seed+{seed}"],
        )
        assert tests > 50
        assert failures == 0, f"see {tmp_path / f'seed{seed}' / 'sim.log'}"
