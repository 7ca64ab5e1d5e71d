"""Quantized ONNX graphs as other tools write them, operator by operator."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from adq.golden.onnx.building import QONNX_DOMAIN


class Model:
    """A graph that grows; tensors are names."""

    def __init__(self, *shape, dtype=TensorProto.FLOAT, opset=21):
        self.nodes, self.constants, self.opset = [], [], opset
        self.input = helper.make_tensor_value_info("image", dtype, ["N", *shape])
        self.number = 0

    def constant(self, array, name=None):
        self.number += 1
        name = name or f"c{self.number}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def add(self, kind, *inputs, name=None, domain="", **attributes):
        self.number += 1
        output = name or f"t{self.number}"
        names = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        self.nodes.append(
            helper.make_node(kind, names, [output], name=output, domain=domain, **attributes)
        )
        return output

    def qdq(self, tensor, scale, zero, **more):
        """Quantize and dequantize; ``zero`` is a NumPy scalar, whose type is that of the codes."""
        scale = np.float32(scale)
        codes = self.add("QuantizeLinear", tensor, scale, zero)
        return self.add("DequantizeLinear", codes, scale, zero, **more)

    def weights(self, integers, scale, zero=None, axis=0):
        integers = np.asarray(integers)
        scale = np.asarray(scale, np.float32)
        zero = np.zeros(scale.shape, integers.dtype) if zero is None else zero
        return self.add("DequantizeLinear", integers, scale, zero, axis=axis)

    def quant(self, tensor, scale, bits, *, signed=1, narrow=0, zero=0.0, mode="ROUND"):
        return self.add(
            "Quant",
            tensor,
            np.asarray(scale, np.float32),
            np.float32(zero),
            np.float32(bits),
            domain=QONNX_DOMAIN,
            signed=signed,
            narrow=narrow,
            rounding_mode=mode,
        )

    def proto(self, *outputs):
        graph = helper.make_graph(
            self.nodes,
            "graph",
            [self.input],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            self.constants,
        )
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid(QONNX_DOMAIN, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)

    def save(self, path, *outputs):
        onnx.save(self.proto(*outputs), path)
        return path


def run_by_onnxruntime(path, images):
    """Run a file by ONNX Runtime, none of its operators merged."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})
