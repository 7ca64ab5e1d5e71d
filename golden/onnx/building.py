"""Operators, constants and values of an ONNX graph, appended one by one."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from adq.golden.formats import ActivationFormat

OPSET = 18
IR_VERSION = 8
QONNX_DOMAIN = "qonnx.custom_op.general"

FLOAT32, FLOAT64, INT64 = (np.dtype(kind) for kind in (np.float32, np.float64, np.int64))


@dataclasses.dataclass
class GraphBuilder:
    """The parts of a graph so far."""

    batch: int | str
    """Images of a batch, or the name of their number."""
    nodes: list[onnx.NodeProto] = dataclasses.field(default_factory=list, kw_only=True)
    constants: dict[str, onnx.TensorProto] = dataclasses.field(default_factory=dict, kw_only=True)
    values: list[onnx.ValueInfoProto] = dataclasses.field(default_factory=list, kw_only=True)

    def value(self, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
        """Describe a tensor of the graph for a batch of images."""
        element = helper.np_dtype_to_tensor_dtype(dtype)
        return helper.make_tensor_value_info(name, element, [self.batch, *shape])

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Append an operator and return its output's name."""
        output = output or f"{inputs[0]}/{operator.lower()}{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(operator, inputs, [output], name=f"{output}:{operator}", **attributes)
        )
        return output

    def constant(self, name: str, array: np.ndarray) -> str:
        """Add a constant, and return its name."""
        self.constants[name] = numpy_helper.from_array(np.asarray(array), name)
        return name

    def scalar(self, value: float, kind: npt.DTypeLike) -> str:
        """Add a constant of no axes, and return its name."""
        dtype = np.dtype(kind)
        return self.constant(f"constant/{dtype}/{value}", np.array(value, dtype))

    def ints(self, *values: int) -> str:
        """Add integers such as a shape, and return their name."""
        name = "constant/ints/" + "_".join(map(str, values))
        return self.constant(name, np.array(values, np.int64))

    def cast(self, tensor: str, dtype: np.dtype, output: str | None = None) -> str:
        """Append a cast, and return its output's name."""
        return self.add("Cast", tensor, output=output, to=helper.np_dtype_to_tensor_dtype(dtype))

    def as_type(self, tensor: str, dtype: np.dtype, wanted: np.dtype) -> str:
        """Return a tensor in a wanted type, cast where it has another."""
        return tensor if dtype == wanted else self.cast(tensor, wanted)

    def quant(self, tensor: str, target: ActivationFormat, output: str | None = None) -> str:
        """Append rounding down and clamping to a format, as float32."""
        return self.add(
            "Quant",
            tensor,
            self.scalar(1.0, np.float32),
            self.scalar(0.0, np.float32),
            self.scalar(float(target.bits), np.float32),
            output=output,
            domain=QONNX_DOMAIN,
            signed=int(target.signed),
            narrow=0,
            rounding_mode="FLOOR",
        )
