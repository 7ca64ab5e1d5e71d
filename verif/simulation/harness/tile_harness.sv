// Runs a list of jobs through the tile with no Python in the cycle: streams are played from files
// and results are written to one. A pulse of `start` opens the files anew; `done` rises once
// `expected` results have been taken, or the tile has given none for `patience` cycles (`hung`).
// With `noise`, whatever a stream's rules leave open changes in every cycle.
//
// With `separate`, loading and computing take turns: a block of WEIGHT_BEATS beats is loaded while
// nothing computes, and the next one is held back until the sums of this one have come to rest.
// `window` names what a cycle belongs to, see verif/simulation/switching/net_counters.py.
`timescale 1ns / 1ps
module tile_harness #(
    parameter JOB_WIDTH = 1,
    parameter WEIGHT_WIDTH = 1,
    parameter ACTIVATION_WIDTH = 1,
    parameter RESULT_WIDTH = 1,
    parameter WEIGHT_BEATS = 1,
    parameter SWITCHING_WIDTH = 1,
    parameter COUNTER_WIDTH = 32
) (
    input reset,
    input start,
    input noise,
    input separate,
    input dump,
    input [31:0] expected,
    input [31:0] patience,
    input [2:0] counter_address,
    output reg done,
    output reg hung,
    output reg [63:0] cycles,
    output [COUNTER_WIDTH-1:0] counter_data,
    // Of jobs, weights, activations and results, from the lowest bits on.
    output [3:0] streams_valid,
    output [3:0] streams_ready,
    output reg [127:0] streams_beats,
    output [SWITCHING_WIDTH-1:0] switching
);
  reg clk = 0;
  always #1 clk = ~clk;

  wire jobs_valid, jobs_ready, weights_valid, weights_ready;
  wire activations_valid, activations_ready, results_valid;
  wire [JOB_WIDTH-1:0] jobs_payload;
  wire [WEIGHT_WIDTH-1:0] weights_payload;
  wire [ACTIVATION_WIDTH-1:0] activations_payload;
  wire [RESULT_WIDTH-1:0] results_payload;

  reg results_ready = 1;
  reg start_before = 0;
  wire starting = start && !start_before;
  reg dump_before = 0;
  always @(posedge clk) dump_before <= dump;
  reg running = 0;

  // With `separate`: beats offered of the block that loads. The first one loads before there are
  // jobs.
  localparam SETTLE = 8;
  reg loading = 0;
  reg first = 0;
  reg [31:0] offered = 0;
  reg [3:0] settled = 0;
  wire [1:0] full = tile.\weight_array.full ;
  wire hold = separate && (starting || first);
  wire hold_weights = separate && !starting && (!loading || offered == WEIGHT_BEATS);

  always @(posedge clk) begin
    if (starting) begin
      {loading, first} <= {2{separate}};
    end else if (loading && full != 0) begin
      {loading, first} <= 0;
      settled <= 0;
    end else if (running && separate && !loading) begin
      settled <= full != 0 ? 0 : settled + 1;
      loading <= full == 0 && settled == SETTLE;
    end
    if (starting) offered <= 1;
    else if (!loading) offered <= 0;
    else if (!hold_weights && (!weights_valid || weights_ready)) offered <= offered + 1;
  end

  // In the cycles behind the last result the pipeline comes to rest.
  reg [1:0] trailing = 0;
  wire [1:0] window =
      reset ? 1 : !running && trailing == 0 ? 0 : loading && full == 0 ? 2 : 3;
  always @(posedge clk) trailing <= running ? 3 : trailing != 0 ? trailing - 1 : 0;

  beat_source #(.WIDTH(JOB_WIDTH), .FILE("jobs.bin")) jobs (
      .clk, .start(starting), .hold, .noise, .ready(jobs_ready), .valid(jobs_valid),
      .payload(jobs_payload));
  beat_source #(.WIDTH(WEIGHT_WIDTH), .FILE("weights.bin")) weights (
      .clk, .start(starting), .hold(hold_weights), .noise, .ready(weights_ready),
      .valid(weights_valid), .payload(weights_payload));
  beat_source #(.WIDTH(ACTIVATION_WIDTH), .FILE("activations.bin")) activations (
      .clk, .start(starting), .hold, .noise, .ready(activations_ready),
      .valid(activations_valid), .payload(activations_payload));

  tile tile (
      .clk,
      .rst(reset),
      .jobs__valid(jobs_valid),
      .jobs__ready(jobs_ready),
      .jobs__payload(jobs_payload),
      .weights__valid(weights_valid),
      .weights__ready(weights_ready),
      .weights__payload(weights_payload),
      .activations__valid(activations_valid),
      .activations__ready(activations_ready),
      .activations__payload(activations_payload),
      .results__valid(results_valid),
      .results__ready(results_ready),
      .results__payload(results_payload),
      .counter_address,
      .counter_data,
      .switching,
      .window,
      .dump(dump && !dump_before)
  );

  integer file = 0;
  reg [31:0] taken = 0;
  reg [31:0] quiet = 0;
  initial begin
    done = 0;
    hung = 0;
    cycles = 0;
  end

  always @(posedge clk) begin
    start_before <= start;
    results_ready <= !(noise && results_ready);
    if (starting) begin
      file = $fopen("results.hex", "w");
      taken <= 0;
      quiet <= 0;
      cycles <= 0;
      running <= 1;
      done <= 0;
      hung <= 0;
    end else if (running) begin
      cycles <= cycles + 1;
      quiet <= quiet + 1;
      if (results_valid && results_ready) begin
        $fwrite(file, "%x\n", results_payload);
        taken <= taken + 1;
        quiet <= 0;
      end
      if ((results_valid && results_ready && taken + 1 == expected) || quiet == patience) begin
        running <= 0;
        done <= 1;
        hung <= quiet == patience;
        $fclose(file);
      end
    end
  end

  assign streams_valid = {results_valid, activations_valid, weights_valid, jobs_valid};
  assign streams_ready = {results_ready, activations_ready, weights_ready, jobs_ready};
  initial streams_beats = 0;
  integer stream;
  always @(posedge clk)
    for (stream = 0; stream < 4; stream = stream + 1)
      if (starting) streams_beats[32*stream+:32] <= 0;
      else if (streams_valid[stream] && streams_ready[stream])
        streams_beats[32*stream+:32] <= streams_beats[32*stream+:32] + 1;
endmodule
