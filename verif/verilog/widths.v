// Operators on operands of one width, for `techmap` of Yosys. RTLIL extends the narrower operand
// and cuts the result; written as Verilog, that is a width mismatch to every lint tool.

`define OPERANDS \
  parameter A_SIGNED = 0; \
  parameter B_SIGNED = 0; \
  parameter A_WIDTH = 1; \
  parameter B_WIDTH = 1; \
  parameter Y_WIDTH = 1; \
  input [A_WIDTH-1:0] A; \
  input [B_WIDTH-1:0] B; \
  output [Y_WIDTH-1:0] Y;

// A constant of no bits is the number 0: Amaranth writes comparisons with 0 like that.
`define EXTENDED(operator) \
  wire _TECHMAP_FAIL_ = A_WIDTH == WIDTH && B_WIDTH == WIDTH; \
  generate \
    if (A_WIDTH == 0) begin \
      wire [WIDTH-1:0] a = 0; \
      wire [WIDTH-1:0] b = B; \
      assign Y = a operator b; \
    end else if (B_WIDTH == 0) begin \
      wire [WIDTH-1:0] a = A; \
      wire [WIDTH-1:0] b = 0; \
      assign Y = a operator b; \
    end else if (A_SIGNED && B_SIGNED) begin \
      wire signed [WIDTH-1:0] a = $signed(A); \
      wire signed [WIDTH-1:0] b = $signed(B); \
      assign Y = a operator b; \
    end else begin \
      wire [WIDTH-1:0] a = A; \
      wire [WIDTH-1:0] b = B; \
      assign Y = a operator b; \
    end \
  endgenerate

`define COMPARISON(cell, module_name, operator) \
(* techmap_celltype = cell *) \
module module_name (A, B, Y); \
  `OPERANDS \
  localparam WIDTH = A_WIDTH > B_WIDTH ? A_WIDTH : B_WIDTH; \
  `EXTENDED(operator) \
endmodule

`define ARITHMETIC(cell, module_name, operator) \
(* techmap_celltype = cell *) \
module module_name (A, B, Y); \
  `OPERANDS \
  localparam WIDTH = Y_WIDTH; \
  `EXTENDED(operator) \
endmodule

`COMPARISON("$eq", extended_eq, ==)
`COMPARISON("$ne", extended_ne, !=)
`COMPARISON("$lt", extended_lt, <)
`COMPARISON("$le", extended_le, <=)
`COMPARISON("$gt", extended_gt, >)
`COMPARISON("$ge", extended_ge, >=)
`ARITHMETIC("$add", extended_add, +)
`ARITHMETIC("$sub", extended_sub, -)
`ARITHMETIC("$mul", extended_mul, *)
`ARITHMETIC("$and", extended_and, &)
`ARITHMETIC("$or", extended_or, |)
`ARITHMETIC("$xor", extended_xor, ^)

// A shift to the right by an unsigned number, whose result is cut behind it.
(* techmap_celltype = "$shr $shift $shiftx" *)
module cut_shift (A, B, Y);
  `OPERANDS
  wire _TECHMAP_FAIL_ = A_SIGNED || B_SIGNED || A_WIDTH == Y_WIDTH;
  localparam WIDTH = A_WIDTH > Y_WIDTH ? A_WIDTH : Y_WIDTH;
  wire [WIDTH-1:0] a = A;
  wire [WIDTH-1:0] shifted = a >> B;
  assign Y = shifted[Y_WIDTH-1:0];
endmodule

// A shift to the left, of a number that is extended in front of it.
(* techmap_celltype = "$shl $sshl" *)
module extended_shift (A, B, Y);
  `OPERANDS
  wire _TECHMAP_FAIL_ = B_SIGNED || A_WIDTH >= Y_WIDTH;
  generate
    if (A_SIGNED) begin
      wire signed [Y_WIDTH-1:0] a = $signed(A);
      assign Y = a << B;
    end else begin
      wire [Y_WIDTH-1:0] a = A;
      assign Y = a << B;
    end
  endgenerate
endmodule

(* techmap_celltype = "$logic_not" *)
module is_zero (A, Y);
  parameter A_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter Y_WIDTH = 1;
  input [A_WIDTH-1:0] A;
  output [Y_WIDTH-1:0] Y;
  wire _TECHMAP_FAIL_ = A_WIDTH == 1;
  assign Y = A == {A_WIDTH{1'b0}};
endmodule
