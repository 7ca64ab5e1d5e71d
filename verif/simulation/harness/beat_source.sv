// Plays the beats of a file into a stream: `valid` waits for no `ready`, and the payload is held
// until it is taken. A beat is ceil(WIDTH / 8) bytes, most significant first. With `hold`, no beat
// is offered behind the present one. With `noise`, every bit of a payload that is not valid flips
// in every cycle.
`timescale 1ns / 1ps
module beat_source #(
    parameter WIDTH = 8,
    parameter FILE = "beats.bin"
) (
    input clk,
    input start,
    input hold,
    input noise,
    input ready,
    output reg valid,
    output reg [WIDTH-1:0] payload
);
  localparam BYTES = (WIDTH + 7) / 8;
  reg [8*BYTES-1:0] beat;
  integer file = 0;
  integer got = 0;

  initial valid = 0;

  always @(posedge clk) begin
    if (start) begin
      if (file != 0) $fclose(file);
      file = $fopen(FILE, "rb");
    end
    if (file != 0 && hold && (start || ready)) begin
      valid <= 0;
    end else if (file != 0 && !hold && (start || !valid || ready)) begin
      got = $fread(beat, file);
      valid <= got == BYTES;
      payload <= beat[WIDTH-1:0];
      if (got != BYTES) begin
        $fclose(file);
        file = 0;
      end
    end else if (noise && !valid) begin
      payload <= ~payload;
    end
  end
endmodule
