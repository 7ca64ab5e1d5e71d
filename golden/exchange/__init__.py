"""Networks from and for other tools: quantized ONNX files in, QONNX with float scales out."""
