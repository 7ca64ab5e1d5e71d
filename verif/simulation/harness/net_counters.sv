// Counts in how many cycles each net of a bus is high, and in how many it differs from the cycle
// before, window by window; see verif/simulation/switching/net_counters.py.
//
// A word of 64 nets has counters that stand upright: bit `i` of entry `j` is bit `j` of the count
// of net `i`. All nets of a word count at once, and an entry is touched only where a carry reaches
// it. A cycle belongs to the window that `window` names at its end. With `dump` the counts since
// the dump before are written to a file, all that are not zero.
`timescale 1ns / 1ps
module net_counters #(
    parameter WORDS = 1,
    parameter WINDOWS = 4,
    parameter COUNT_BITS = 28,
    parameter FILE = "activity.txt"
) (
    input clk,
    input [1:0] window,
    input dump,
    input [64*WORDS-1:0] nets
);
  // Of every window, the counts of changes, then those of high nets.
  localparam ENTRIES = WINDOWS * 2 * COUNT_BITS * WORDS;
  reg [63:0] earlier[0:WORDS-1];
  reg [63:0] counts[0:ENTRIES-1];
  reg awake = 0;  // In the first cycle there is none to differ from.
  reg dumped = 0;
  integer file;

  initial begin
    file = $fopen(FILE, "w");
    for (int i = 0; i < ENTRIES; i++) counts[i] = 0;
  end

  always @(posedge clk) begin
    reg [63:0] now, carry, next;
    integer entry;
    for (int word = 0; word < WORDS; word++) begin
      now = nets[64*word+:64];
      carry = awake ? now ^ earlier[word] : 0;
      earlier[word] = now;
      for (int kind = 0; kind < 2; kind++) begin
        entry = (2 * window + kind) * COUNT_BITS * WORDS + word;
        while (carry != 0) begin
          next = counts[entry] & carry;
          counts[entry] = counts[entry] ^ carry;
          carry = next;
          entry = entry + WORDS;
        end
        carry = now;
      end
    end
    awake <= 1;
    dumped <= dump;
    if (dump)
      for (int i = 0; i < ENTRIES; i++) begin
        if (counts[i] != 0) $fwrite(file, "%0d %h\n", i, counts[i]);
        counts[i] = 0;
      end
  end

  always @(negedge clk) if (dumped) $fflush(file);
endmodule
