"""The written Verilog behind the ports of the project's own tile, for the tests of its ports."""

from adq.rtl.axi_stream import PREFIXES, stream_bits, stream_fields
from adq.rtl.interface import activation_layout, job_layout, result_layout, weight_layout

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
