// Plays the beats of a golden artifact into adq_tile and compares its results.
//
//   +seed=N      pauses on the streams at random, from this seed (default 1); 0: none
//   +vectors=DIR folder of the .hex files (default: vectors)
//
// Ends with "PASS" and status 0, or with $fatal at the first result that differs.

`timescale 1ns / 1ps
`include "adq_tile_tb_sizes.vh"

// Sends the words of a file; where pauses are asked for, a beat is held back at random.
module adq_tile_tb_source #(
    parameter BITS = 8,
    parameter BEATS = 1,
    parameter STREAM = 1
) (
    input aclk,
    input run,
    input [31:0] seed,
    input [8191:0] file,
    output [BITS-1:0] tdata,
    output tvalid,
    input tready,
    output reg [31:0] sent
);
  reg [BITS-1:0] beats[0:BEATS-1];
  reg pause;
  integer state;

  initial begin
    sent = 0;
    pause = 1;
    state = 0;
    @(posedge run);
    $readmemh(file, beats);
    state = seed * 16 + STREAM;
  end

  assign tvalid = run && !pause && sent < BEATS;
  assign tdata  = tvalid ? beats[sent] : {BITS{1'bx}};

  always @(posedge aclk)
    if (run) begin
      if (tvalid && tready) sent <= sent + 1;
      // A beat that was offered stays until it is taken.
      if (!tvalid || tready) pause <= seed != 0 && $random(state) % 4 == 0;
    end
endmodule

module adq_tile_tb;
  reg aclk = 0;
  reg aresetn = 0;
  reg run = 0;
  reg [31:0] seed;
  reg [2047:0] folder;
  reg [8191:0] jobs_file, weights_file, activations_file, results_file, masks_file;

  wire [`JOBS_BITS-1:0] jobs_tdata;
  wire [`WEIGHTS_BITS-1:0] weights_tdata;
  wire [`ACTIVATIONS_BITS-1:0] activations_tdata;
  wire [`RESULTS_BITS-1:0] results_tdata;
  wire jobs_tvalid, jobs_tready, weights_tvalid, weights_tready;
  wire activations_tvalid, activations_tready, results_tvalid, results_tlast;
  reg results_tready = 0;
  wire [31:0] jobs_sent, weights_sent, activations_sent;
  wire [`COUNTER_BITS-1:0] counter_data;

  // The last bit of a word is tlast. A mask has a 1 where the result is defined.
  reg [`RESULTS_BITS:0] results[0:`RESULTS_BEATS-1];
  reg [`RESULTS_BITS:0] masks[0:`RESULTS_BEATS-1];
  wire [`RESULTS_BITS:0] result = {results_tlast, results_tdata};
  integer taken = 0;
  integer waited = 0;
  integer cycles = 0;
  integer state;

  always #1 aclk = !aclk;

  adq_tile_tb_source #(.BITS(`JOBS_BITS), .BEATS(`JOBS_BEATS), .STREAM(1)) jobs (
      .aclk(aclk), .run(run), .seed(seed), .file(jobs_file), .tdata(jobs_tdata),
      .tvalid(jobs_tvalid), .tready(jobs_tready), .sent(jobs_sent));

  adq_tile_tb_source #(.BITS(`WEIGHTS_BITS), .BEATS(`WEIGHTS_BEATS), .STREAM(2)) weights (
      .aclk(aclk), .run(run), .seed(seed), .file(weights_file), .tdata(weights_tdata),
      .tvalid(weights_tvalid), .tready(weights_tready), .sent(weights_sent));

  adq_tile_tb_source #(
      .BITS(`ACTIVATIONS_BITS), .BEATS(`ACTIVATIONS_BEATS), .STREAM(3)
  ) activations (
      .aclk(aclk), .run(run), .seed(seed), .file(activations_file), .tdata(activations_tdata),
      .tvalid(activations_tvalid), .tready(activations_tready), .sent(activations_sent));

  adq_tile tile (
      .aclk(aclk),
      .aresetn(aresetn),
      .s_axis_jobs_tdata(jobs_tdata),
      .s_axis_jobs_tvalid(jobs_tvalid),
      .s_axis_jobs_tready(jobs_tready),
      .s_axis_weights_tdata(weights_tdata),
      .s_axis_weights_tvalid(weights_tvalid),
      .s_axis_weights_tready(weights_tready),
      .s_axis_activations_tdata(activations_tdata),
      .s_axis_activations_tvalid(activations_tvalid),
      .s_axis_activations_tready(activations_tready),
      .m_axis_results_tdata(results_tdata),
      .m_axis_results_tvalid(results_tvalid),
      .m_axis_results_tready(results_tready),
      .m_axis_results_tlast(results_tlast),
      .counter_address(3'd0),
      .counter_data(counter_data)
  );

  initial begin
    if (!$value$plusargs("seed=%d", seed)) seed = 1;
    if (!$value$plusargs("vectors=%s", folder)) folder = "vectors";
    $sformat(jobs_file, "%0s/jobs.hex", folder);
    $sformat(weights_file, "%0s/weights.hex", folder);
    $sformat(activations_file, "%0s/activations.hex", folder);
    $sformat(results_file, "%0s/results.hex", folder);
    $sformat(masks_file, "%0s/masks.hex", folder);
    $readmemh(results_file, results);
    $readmemh(masks_file, masks);
    state = seed * 16;
    repeat (3) @(posedge aclk);
    #0.5 aresetn = 1;
    @(posedge aclk);
    #0.5 run = 1;
  end

  always @(posedge aclk)
    if (run) begin
      cycles <= cycles + 1;
      waited <= waited + 1;
      results_tready <= seed == 0 || $random(state) % 4 != 0;
      if (results_tvalid && results_tready) begin
        waited <= 0;
        taken  <= taken + 1;
        // !== also tells an unknown bit.
        if ((result & masks[taken]) !== (results[taken] & masks[taken])) begin
          $display("FAIL: result %0d is %h, expected %h where %h is set", taken, result,
                   results[taken], masks[taken]);
          $fatal(1);
        end
        if (taken + 1 == `RESULTS_BEATS) begin
          $display("PASS: %0d results of %0d jobs in %0d cycles", taken + 1, jobs_sent, cycles + 1);
          $finish;
        end
      end else if (waited > `PATIENCE) begin
        $display("FAIL: no result in %0d cycles; sent %0d jobs, %0d weights, %0d activations",
                 waited, jobs_sent, weights_sent, activations_sent);
        $fatal(1);
      end
    end
endmodule
