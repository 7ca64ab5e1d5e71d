"""The integer network as ONNX graphs, and their execution by ONNX Runtime and QONNX."""
