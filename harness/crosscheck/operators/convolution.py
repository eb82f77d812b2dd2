"""Convolutions, as neural networks have them: no kernel is flipped.

Of x (rows, positions …, features) with W (units, taps …, features / groups) and b (units,)

    z[r, q, u] = Σ over taps t and features f of u's group   x[r, q s + t d - p, f] W[u, t, f],

plus b[u], with stride s, dilation d and padding p (`crosscheck.operators.windows`). In primitives
the windows are put into rows of a matrix for each group, which is multiplied with W. So

    ∂J/∂W[u, t, f] = Σ over r, q of g[r, q, u] x[r, q s + t d - p, f]

is a matrix product too, and an entry of ∂J/∂x a sum over all its windows and taps and over units,
in any order whatever: `scatter` of a product that is open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from crosscheck.formulas.tree import Call, Expression, Sum, Words
from crosscheck.operators.operator import Attribute, Line, Operator, Use
from crosscheck.operators.places import moved
from crosscheck.operators.windows import Windows
from crosscheck.operators.words import spread, whole
from crosscheck.program.graph import Shape, Var
from crosscheck.tools.errors import UsageError

__all__ = ["convolution", "jax_line", "tensorflow_line", "torch_line"]

_ATTRIBUTES: Mapping[str, Attribute] = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}


def convolution(axes: int, lines: Mapping[str, tuple[str, Callable[..., str]]]) -> Operator:
    """A convolution over some axes.

    Args:
        axes: How many.
        lines: Framework to a formulation and to what writes it, of stride, padding, dilation and
            groups.
    """
    name = f"conv{axes}d"

    def settled(
        stride: Attribute, padding: Attribute, dilation: Attribute, groups: Attribute
    ) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], int]:
        return (
            spread("stride", stride, axes),
            spread("padding", padding, axes, 0),
            spread("dilation", dilation, axes),
            whole("groups", groups, 1),
        )

    def expand(x: Var, W: Var, b: Var | None = None, **settings: Attribute) -> Var:
        stride, padding, dilation, groups = settled(**settings)
        if len(W.shape) != axes + 2 or len(x.shape) != axes + 2:
            raise UsageError(f"{name}: shapes {x.shape} and {W.shape}, wanted {axes + 2} axes")
        units, *size, features = W.shape
        if x.shape[-1] != features * groups or units % groups:
            raise UsageError(
                f"{name}: shapes {x.shape} and {W.shape}, wanted features and units in "
                f"{groups} groups"
            )
        over = Windows(tuple(size), stride, padding, dilation)
        positions = over.positions(name, x.shape)
        rows = x.shape[0] * int(np.prod(positions))
        taps = int(np.prod(size))

        def by_group(_: np.ndarray) -> np.ndarray:
            places = over.places(name, x.shape).reshape(rows, taps, groups, features)
            return np.moveaxis(places, 2, 0).reshape(groups, rows, taps * features)

        def kernels(places: np.ndarray) -> np.ndarray:
            return np.swapaxes(places.reshape(groups, units // groups, taps * features), 1, 2)

        def in_place(places: np.ndarray) -> np.ndarray:
            return np.moveaxis(places, 0, 1).reshape(x.shape[0], *positions, units)

        z = moved(moved(x, by_group) @ moved(W, kernels), in_place)
        if b is None:
            return z
        for _ in range(axes + 1):
            b = b.expand(-2)
        return z + b

    def formula(
        x: Expression, W: Expression, b: Expression | None = None, **settings: Attribute
    ) -> Expression:
        told = [
            Words(f"{key} {value}") for key, value in settings.items() if value != _ATTRIBUTES[key]
        ]
        found = Call(name, (x, W, *told))
        return found if b is None else Sum((found, b))

    def parameters(shape: Shape, units: int, groups: Attribute = 1) -> Mapping[str, Shape]:
        features = shape[-1] // whole("groups", groups, 1)
        return {"W": (2 * units, *(2,) * axes, features), "b": (2 * units,)}

    def check(attributes: Mapping[str, Attribute]) -> None:
        settled(**attributes)

    def line(write: Callable[..., str]) -> Line:
        def written(use: Use) -> str:
            bias = "b" if "b" in use.operands else ""
            return write(*settled(**use.attributes), bias)

        return written

    strided = {"stride": 2, "padding": 1} if axes == 1 else {"stride": "2 1", "padding": "1 0"}
    return Operator(
        name=name,
        role="layer",
        formula=formula,
        operands=("x", "W", "b"),
        optional=frozenset({"b"}),
        attributes=_ATTRIBUTES,
        check=check,
        variants=(strided, {"dilation": 2}, {"groups": 2, "padding": 1}),
        parameters=parameters,
        tried_on=(2, 4, 2) if axes == 1 else (1, 3, 4, 2),
        of_one_case=True,
        expand=expand,
        lines={each: {called: line(write)} for each, (called, write) in lines.items()},
        words="Each window is a weighted sum, the same weights for all of them.",
    )


def torch_line(axes: int) -> Callable[..., str]:
    """PyTorch's, which wants features before positions."""

    def write(
        stride: tuple[int, ...],
        padding: tuple[int, ...],
        dilation: tuple[int, ...],
        groups: int,
        bias: str,
    ) -> str:
        more = "".join(
            f", {name}={value!r}"
            for name, value, usual in (
                ("stride", stride, (1,) * axes),
                ("padding", padding, (0,) * axes),
                ("dilation", dilation, (1,) * axes),
                ("groups", groups, 1),
            )
            if value != usual
        )
        operands = f"x.movedim(-1, 1), W.movedim(-1, 1){', b' if bias else ''}"
        return f"F.conv{axes}d({operands}{more}).movedim(1, -1)"

    return write


def tensorflow_line(axes: int) -> Callable[..., str]:
    """TensorFlow's, which wants the kernel's units last, and has no padding with numbers for all.

    On processors it differentiates no convolution in groups: they are taken apart.
    """
    order = (*range(1, axes + 2), 0)

    def write(
        stride: tuple[int, ...],
        padding: tuple[int, ...],
        dilation: tuple[int, ...],
        groups: int,
        bias: str,
    ) -> str:
        x = "x"
        if any(padding):
            x = f"tf.pad(x, {[(0, 0), *((p, p) for p in padding), (0, 0)]})"
        dilated = f", dilations={dilation!r}" if max(dilation) > 1 else ""
        rest = f'{stride!r}, "VALID"{dilated}'
        kernel = f"tf.transpose(W, {order})"
        if groups == 1:
            text = f"tf.nn.conv{axes}d({x}, {kernel}, {rest})"
        else:
            parts = f"zip(tf.split({x}, {groups}, -1), tf.split({kernel}, {groups}, -1))"
            text = f"tf.concat([tf.nn.conv{axes}d(*each, {rest}) for each in {parts}], -1)"
        return f"tf.nn.bias_add({text}, b)" if bias else text

    return write


def jax_line(axes: int) -> Callable[..., str]:
    """JAX's, which takes the axes in any order."""
    places = "W" if axes == 1 else "HW"

    def write(
        stride: tuple[int, ...],
        padding: tuple[int, ...],
        dilation: tuple[int, ...],
        groups: int,
        bias: str,
    ) -> str:
        more = f", rhs_dilation={dilation!r}" if max(dilation) > 1 else ""
        more += f', dimension_numbers=("N{places}C", "O{places}I", "N{places}C")'
        more += f", feature_group_count={groups}" if groups > 1 else ""
        around = [(p, p) for p in padding]
        text = f"jax.lax.conv_general_dilated(x, W, {stride!r}, {around!r}{more})"
        return f"{text} + b" if bias else text

    return write
