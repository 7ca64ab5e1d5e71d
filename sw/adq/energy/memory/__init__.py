"""Energy of memories: SRAM by CACTI, and the partial sum buffer in flip-flops and in SRAM."""
