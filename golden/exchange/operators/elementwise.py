"""Reads what acts on single elements: batch norm, sums, limits, and functions as tables."""

import dataclasses
from collections.abc import Callable

import numpy as np

from adq.golden.exchange.opening import Operator
from adq.golden.exchange.operators.context import Context
from adq.golden.exchange.operators.layers import product
from adq.golden.exchange.values import Grid, Pending, Source, Tabled, Value, Weights


def batch_norm(context: Context, operator: Operator) -> Pending:
    """Read a BatchNormalization: a factor and an offset a channel."""
    epsilon, _, training, _ = operator.take(epsilon=1e-5, momentum=0.9, training_mode=0, spatial=1)
    if training:
        raise operator.error("is in training mode: export the network in evaluation")
    gamma, beta, mean, variance = (
        context.required(operator, place, what).astype(np.float64)
        for place, what in enumerate(("scale", "bias", "mean", "variance"), 1)
    )
    factor = gamma / np.sqrt(variance + epsilon)
    value = _open(context, operator)
    return _affine(operator, value, factor, beta - mean * factor)


def relu(context: Context, operator: Operator) -> Value:
    """Read a Relu."""
    operator.take()
    return _limited(context, operator, 0.0, np.inf)


def clip(context: Context, operator: Operator) -> Value:
    """Read a Clip with constant limits, such as a ReLU6."""
    least, most = operator.take(min=None, max=None)
    lower, upper = (context.constant(operator, place, "limit") for place in (1, 2))
    if any(limit is not None and limit.size != 1 for limit in (lower, upper)):
        raise operator.error("has limits that are no single numbers")
    least = lower.item() if lower is not None else (-np.inf if least is None else least)
    most = upper.item() if upper is not None else (np.inf if most is None else most)
    if not least < most:
        raise operator.error(f"clips to {least} and {most}")
    return _limited(context, operator, least, most)


def add(context: Context, operator: Operator) -> Value:
    """Read an Add or a Sub: of a constant, or of two tensors."""
    operator.take()
    sign = -1.0 if operator.kind == "Sub" else 1.0
    one, other = context.value(operator, 0), context.value(operator, 1)
    if isinstance(one, np.ndarray | Weights) and sign > 0:
        one, other = other, one
    if isinstance(other, np.ndarray | Weights):
        return _add_constant(context, operator, one, sign * _real(other))
    if sign < 0:
        raise operator.error("subtracts tensors: add one whose layer has the other sign")
    if isinstance(other, Pending) and not isinstance(one, Pending):
        return _add_tensor(context, operator, other, 0)
    if isinstance(one, Pending):
        return _add_tensor(context, operator, one, 1)
    grid = context.grid(operator, 0)
    return _add_tensor(context, operator, context.builder.rescaled(grid, operator.name), 1)


def multiply(context: Context, operator: Operator) -> Value:
    """Read a Mul or a Div: by a constant, or a product of two tensors."""
    operator.take()
    one, other = context.value(operator, 0), context.value(operator, 1)
    if operator.kind == "Mul" and isinstance(one, np.ndarray | Weights):
        one, other = other, one
    if not isinstance(other, np.ndarray | Weights):
        if operator.kind == "Div":
            raise operator.error("divides tensors, which has no integer form")
        return product(context, operator)
    constant = _real(other)
    if operator.kind == "Div" and not constant.all():
        raise operator.error("divides by 0")
    if isinstance(one, Source):
        constant = constant.astype(np.float32)
        operation = np.divide if operator.kind == "Div" else np.multiply
        return _before(operator, one, lambda real: operation(real, constant))
    factor = 1 / constant if operator.kind == "Div" else constant
    if isinstance(one, Grid) and factor.size == 1 and factor.flat[0] > 0:
        scaled = dataclasses.replace(one, scale=one.scale * float(factor.flat[0]))
        return context.builder.know(scaled, operator.output)
    value = _open(context, operator, one)
    return _affine(operator, value, _by_channel(context, operator, factor, value), 0.0)


def _table(
    function: Callable[..., np.ndarray], **attributes: float
) -> Callable[[Context, Operator], Tabled]:
    """Return the reader of a function of single elements, with its attributes' defaults."""

    def read(context: Context, operator: Operator) -> Tabled:
        values = operator.take(**attributes)
        return Tabled(
            name=operator.name,
            grid=context.grid(operator),
            function=lambda real: np.asarray(function(real, *map(np.float32, values)), np.float32),
        )

    return read


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x.astype(np.float64))))


def _hard_sigmoid(x: np.ndarray, alpha: np.float32, beta: np.float32) -> np.ndarray:
    limited: np.ndarray = np.clip(alpha * x + beta, np.float32(0), np.float32(1))
    return limited


def _limited(context: Context, operator: Operator, least: float, most: float) -> Pending:
    value = context.value(operator, 0)
    if isinstance(value, Grid):
        value = context.builder.rescaled(value, operator.name)
    if not isinstance(value, Pending):
        value = context.builder.rescaled(context.grid(operator), operator.name)
    return dataclasses.replace(
        value,
        least=float(np.clip(value.least, least, most)),
        most=float(np.clip(value.most, least, most)),
    )


def _open(context: Context, operator: Operator, value: Value | None = None) -> Pending:
    """Return the first input as real numbers that still take factors and offsets."""
    value = context.value(operator, 0) if value is None else value
    if isinstance(value, Pending) and value.is_open and value.skip is None:
        return value
    if isinstance(value, Pending):
        raise operator.error(
            f"follows {value.name} behind its limits, its pooling or its sum: put a quantizer "
            "between the two"
        )
    if not isinstance(value, Grid):
        value = context.grid(operator)  # says why not
    return context.builder.rescaled(value, operator.name)


def _affine(
    operator: Operator, value: Pending, factor: np.ndarray, offset: np.ndarray | float
) -> Pending:
    """Multiply and add, a number a channel."""
    channels = len(value.factor)
    factor, offset = (np.broadcast_to(each, (channels,)) for each in (factor, offset))
    if not (np.isfinite(factor).all() and np.isfinite(offset).all()):
        raise operator.error("holds factors or offsets that are no finite numbers")
    return dataclasses.replace(
        value,
        factor=value.factor * factor,
        offset=value.offset * factor + offset,
    )


def _add_constant(
    context: Context, operator: Operator, value: Value, constant: np.ndarray
) -> Value:
    if not np.isfinite(constant).all():
        raise operator.error("adds something that is no finite number")
    if isinstance(value, Source):
        constant = constant.astype(np.float32)
        return _before(operator, value, lambda real: real + constant)
    value = _open(context, operator, value)
    constant = _by_channel(context, operator, constant, value)
    if value.is_layer and value.bias is None and value.is_bare:
        bias = np.broadcast_to(constant, value.unit.shape)
        return dataclasses.replace(value, bias=bias, original=operator.output)
    return _affine(operator, value, np.ones(1), constant)


def _add_tensor(context: Context, operator: Operator, value: Pending, place: int) -> Pending:
    """Add activations to what a layer gives, as its skip connection."""
    if not value.is_open or value.skip is not None:
        raise operator.error(
            f"adds to {value.name} behind its limits, its pooling or another sum: put a quantizer "
            "between the two"
        )
    skip = context.grid(operator, place)
    if skip.shape != value.shape:
        raise operator.error(f"adds {skip.shape} to {value.shape}: shapes must be equal")
    return dataclasses.replace(value, skip=skip)


def _before(operator: Operator, source: Source, step: Callable[[np.ndarray], np.ndarray]) -> Source:
    """Do something to the images before they are quantized."""
    return dataclasses.replace(source, prelude=(*source.prelude, step))


def _by_channel(
    context: Context, operator: Operator, constant: np.ndarray, value: Pending
) -> np.ndarray:
    """Return a constant as one number a channel, or a single one."""
    rank = context.rank(value.shape)
    if constant.size == 1 and constant.ndim <= rank:
        return constant.reshape(1)
    beside = (len(value.factor), *[1] * (rank - 2))
    if value.moves or constant.shape not in (beside, (1, *beside)):
        raise operator.error(
            f"has a constant of shape {constant.shape} beside {value.shape}: one number, or one a "
            "channel, is understood"
        )
    return constant.reshape(-1)


def _real(value: np.ndarray | Weights) -> np.ndarray:
    return (value.real if isinstance(value, Weights) else value).astype(np.float64)


ELEMENTWISE = {
    "BatchNormalization": batch_norm,
    "Relu": relu,
    "Clip": clip,
    "Add": add,
    "Sub": add,
    "Mul": multiply,
    "Div": multiply,
    "Sigmoid": _table(_sigmoid),
    "Tanh": _table(lambda x: np.tanh(x.astype(np.float64))),
    "LeakyRelu": _table(lambda x, alpha: np.where(x < 0, alpha * x, x), alpha=0.01),
    "HardSigmoid": _table(_hard_sigmoid, alpha=0.2, beta=0.5),
    "HardSwish": _table(lambda x: x * _hard_sigmoid(x, np.float32(1 / 6), np.float32(0.5))),
    "Elu": _table(
        lambda x, alpha: np.where(x < 0, alpha * np.expm1(x.astype(np.float64)), x), alpha=1.0
    ),
}
"""Operators that act on single elements."""
