"""A placed design as files for other tools: Verilog, LEF, DEF, SPEF and SDC."""
