"""Networks of other tools: quantized ONNX files as integer networks."""
