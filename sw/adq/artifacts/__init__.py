"""Golden artifacts for people: verification and ONNX graphs."""
