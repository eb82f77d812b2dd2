"""What is differentiated: a dense ReLU network, its numbers, and the gradients that come back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from crosscheck.network.names import LOSS, array_name, by_layer
from crosscheck.network.tree import Point, Slopes
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.tools.errors import UsageError

__all__ = [
    "Case",
    "Gradients",
    "Network",
    "Numbers",
    "Output",
    "Reduction",
    "worked_example",
]

Output = Literal["relu", "identity"]
Reduction = Literal["sum", "mean"]


@dataclass(frozen=True)
class Network:
    """The shape of a dense ReLU network and of its loss.

    ``z_l = W_l a_{l-1} + b_l`` and ``a_l = ReLU(z_l)``; the last layer keeps ``a_L = z_L``
    when ``output="identity"``. The loss is ``J = ½ Σ (a_L - y)²`` over outputs and rows,
    divided by the number of rows when ``reduction="mean"``.

    Attributes:
        widths: ``(n_0, …, n_L)``: inputs, then the units of each layer; at least two, each >= 1.
        output: ``"relu"`` or ``"identity"``.
        reduction: ``"sum"`` or ``"mean"`` over the rows of the batch.

    Raises:
        UsageError: A field is not as described.
    """

    widths: tuple[int, ...]
    output: Output = "relu"
    reduction: Reduction = "sum"

    def __post_init__(self) -> None:
        widths = self.widths
        if not isinstance(widths, Sequence) or isinstance(widths, str) or len(widths) < 2:
            raise UsageError(
                f"widths={widths!r}: wanted at least two positive integers (n_0, …, n_L)"
            )
        for width in widths:
            if isinstance(width, bool) or not isinstance(width, int | np.integer) or width < 1:
                raise UsageError(f"widths={widths!r}: {width!r} is not a positive integer")
        object.__setattr__(self, "widths", tuple(int(width) for width in widths))
        if self.output not in get_args(Output):
            raise UsageError(f"output={self.output!r}: wanted 'relu' or 'identity'")
        if self.reduction not in get_args(Reduction):
            raise UsageError(f"reduction={self.reduction!r}: wanted 'sum' or 'mean'")

    @property
    def depth(self) -> int:
        """``L``, the number of dense layers."""
        return len(self.widths) - 1

    def has_relu(self, layer: int) -> bool:
        """Whether layer ``layer`` (1 … L) ends in a ReLU."""
        return layer < self.depth or self.output == "relu"


@dataclass(frozen=True, eq=False)
class Numbers(Point):
    """A dense network with numbers of any type: those of a case, or of a stack of C cases.

    Attributes:
        network: The shape and the loss.
        weights: ``W_l`` of shape ``([C,] n_l, n_{l-1})``, for l = 1 … L.
        biases: ``b_l`` of shape ``([C,] n_l)``, or ``None`` where layer l has no bias.
        x: Inputs, shape ``([C,] B, n_0)``.
        y: Targets, shape ``([C,] B, n_L)``.
    """

    parts: ClassVar[Mapping[str, str]] = {"weights": "W*", "biases": "b*", "x": "x", "y": "y"}

    network: Network
    weights: tuple[Any, ...]
    biases: tuple[Any, ...]
    x: Any
    y: Any

    def entries(self) -> Iterator[tuple[str, Any]]:
        """``(name, array)`` for each array there is: ``W1, b1, W2, …, x, y``."""
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True), 1):
            yield array_name("W", layer), weight
            if bias is not None:
                yield array_name("b", layer), bias
        yield "x", self.x
        yield "y", self.y

    @property
    def count(self) -> int | None:
        """``C`` for a stack of cases, ``None`` for a single one."""
        return self.x.shape[0] if self.x.ndim == 3 else None

    @property
    def rows(self) -> int:
        """``B``, the number of rows of a case."""
        return int(self.x.shape[-2])

    @property
    def has_bias(self) -> tuple[bool, ...]:
        """Of each layer."""
        return tuple(bias is not None for bias in self.biases)

    @property
    def wanted(self) -> tuple[str, ...]:
        """The names of the arrays that the loss is differentiated by: all but the targets."""
        return tuple(name for name in self.names if name != "y")

    def each(self, change: Callable[[Any], Any]) -> Numbers:
        """Each array put through ``change``, whatever numbers that makes of them."""
        return Numbers(self.network, **self._changed(change))


@dataclass(frozen=True, eq=False)
class Case(Numbers):
    """A network with its parameters, inputs and targets: one point at which to differentiate.

    Every array is float64 and holds numbers of the format ``dtype`` only, so that handing
    them to a framework in that dtype loses nothing. All arrays may carry one leading axis of
    length ``C``: then the object is a *stack* of ``C`` independent cases of one shape, and
    ``case[i]`` is the i-th.

    Attributes:
        network: The shape and the loss.
        weights: ``W_l`` of shape ``([C,] n_l, n_{l-1})``, for l = 1 … L.
        biases: ``b_l`` of shape ``([C,] n_l)``, or ``None`` where layer l has no bias.
        x: Inputs, shape ``([C,] B, n_0)``.
        y: Targets, shape ``([C,] B, n_L)``.
        dtype: A name in `crosscheck.numbers.formats.FORMATS`.

    Raises:
        UsageError: A shape does not fit, or a number is not one of ``dtype``. NaN and ±inf
            are allowed here (they lead to the verdict NONFINITE).
    """

    network: Network
    weights: tuple[Array, ...]
    biases: tuple[Array | None, ...]
    x: Array
    y: Array
    dtype: str = "float64"

    def __post_init__(self) -> None:
        form = format_of(self.dtype)
        widths, depth = self.network.widths, self.network.depth
        for field, arrays in (("weights", self.weights), ("biases", self.biases)):
            if len(arrays) != depth:
                raise UsageError(
                    f"{field}: {len(arrays)} arrays given, wanted {depth} for widths={widths}"
                )
        if not isinstance(self.x, np.ndarray) or self.x.ndim not in (2, 3):
            raise UsageError(f"x: shape {np.shape(self.x)} given, wanted (rows, {widths[0]})")
        lead, rows = self.x.shape[:-2], self.x.shape[-2]
        if rows == 0 or 0 in lead:
            raise UsageError(f"x: shape {self.x.shape} given, wanted at least one row")
        wanted: list[tuple[str, Array | None, tuple[int, ...]]] = [
            ("x", self.x, (*lead, rows, widths[0])),
            ("y", self.y, (*lead, rows, widths[-1])),
        ]
        for layer in range(1, depth + 1):
            wanted.append(
                (
                    array_name("W", layer),
                    self.weights[layer - 1],
                    (*lead, widths[layer], widths[layer - 1]),
                )
            )
            wanted.append((f"b{layer}", self.biases[layer - 1], (*lead, widths[layer])))
        for name, array, shape in wanted:
            if array is None and name.startswith("b"):
                continue
            if not isinstance(array, np.ndarray) or array.dtype != np.float64:
                kind = getattr(array, "dtype", type(array).__name__)
                raise UsageError(f"{name}: {kind} given, wanted a float64 array of shape {shape}")
            if array.shape != shape:
                raise UsageError(
                    f"{name}: shape {array.shape} given, wanted {shape} for widths={widths}"
                )
            if not form.contains(array):
                raise UsageError(
                    f"{name}: holds numbers that are not {self.dtype}; "
                    f"round them first (Case.of does) or ask for float64"
                )

    @classmethod
    def of(
        cls,
        weights: Sequence[ArrayLike],
        biases: Sequence[ArrayLike | None] | None,
        x: ArrayLike,
        y: ArrayLike,
        *,
        dtype: str = "float64",
        output: Output = "relu",
        reduction: Reduction = "sum",
    ) -> Case:
        """Build a case from anything array-like, rounding each number to ``dtype``.

        Args:
            weights: ``W_l``, each of shape ``([C,] n_l, n_{l-1})``; the widths are read off them.
            biases: ``b_l`` or ``None`` per layer; ``None`` alone means no layer has a bias.
            x: Inputs, ``([C,] B, n_0)``.
            y: Targets, ``([C,] B, n_L)``.
            dtype: The format to round to.
            output: See `Network`.
            reduction: See `Network`.

        Raises:
            UsageError: The arrays do not fit together.
        """
        form = format_of(dtype)
        if not weights:
            raise UsageError("weights: none given, wanted one matrix per layer")
        matrices = tuple(form.round(weight) for weight in weights)
        for layer, matrix in enumerate(matrices, start=1):
            if matrix.ndim not in (2, 3):
                raise UsageError(
                    f"W{layer}: shape {matrix.shape} given, wanted (n_{layer}, n_{layer - 1})"
                )
        if biases is None:
            biases = [None] * len(matrices)
        widths = (matrices[0].shape[-1], *(matrix.shape[-2] for matrix in matrices))
        return cls(
            Network(widths, output=output, reduction=reduction),
            matrices,
            tuple(None if bias is None else form.round(bias) for bias in biases),
            form.round(x),
            form.round(y),
            dtype,
        )

    @classmethod
    def trusted(cls, numbers: Numbers, dtype: str) -> Case:
        """A case whose numbers have been looked at: float64 arrays with numbers of ``dtype``."""
        found = object.__new__(cls)
        vars(found).update(vars(numbers), dtype=dtype)
        return found

    @property
    def kind(self) -> object:
        """What tells networks apart, whatever their numbers."""
        return self.network

    @property
    def widths(self) -> tuple[int, ...]:
        """Of the network."""
        return self.network.widths

    @property
    def description(self) -> str:
        """The shape, for people."""
        rows = f"{self.rows} row{'' if self.rows == 1 else 's'}"
        return (
            f"widths {', '.join(map(str, self.network.widths))}; {rows}, {self.dtype}, "
            f"output {self.network.output}, {self.network.reduction}"
        )

    @property
    def key(self) -> str:
        """A stable name for the case: 16 hexadecimal digits of a SHA-256 of all it holds.

        Equal on every machine and in every process; −0 and +0 are told apart. What is hashed: the
        line below, then for each array of `entries` its name and its numbers as little-endian
        float64. Whatever becomes of the classes, these bytes stay.
        """
        network = self.network
        shape = f"widths={network.widths!r}, output={network.output!r}"
        line = (
            f"(Network({shape}, reduction={network.reduction!r}), {self.dtype!r}, {self.x.shape!r})"
        )
        digest = hashlib.sha256(line.encode())
        for name, array in self.entries():
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        return digest.hexdigest()[:16]

    def _repr_html_(self) -> str:
        """The case for a notebook."""
        from crosscheck.network.notebook import case_html

        return case_html(self)


@dataclass(frozen=True, eq=False)
class Gradients(Slopes):
    """A loss and its gradient with respect to everything a case holds but the targets.

    The fields are float64 arrays for what a framework returned (converted without loss from
    the case's dtype), and arrays of whatever number type the reference was run on otherwise.
    What a gradient under test does not hold is `LEFT_OUT`.

    Attributes:
        loss: ``J``, shape ``([C])``.
        weights: ``dJ/dW_l``, shaped as ``W_l``.
        biases: ``dJ/db_l``, shaped as ``b_l``; ``None`` where there is no bias.
        x: ``dJ/dx``, shaped as ``x``.
    """

    parts: ClassVar[Mapping[str, str]] = {"loss": LOSS, "weights": "W*", "biases": "b*", "x": "x"}

    loss: Any
    weights: tuple[Any, ...]
    biases: tuple[Any, ...]
    x: Any

    @classmethod
    def named(cls, arrays: Mapping[str, Any]) -> Gradients:
        """Of ``J`` and the derivatives by name.

        Raises:
            ValueError: One is called as no array of a gradient is, or one is not there.
        """
        found = cls(arrays[LOSS], *by_layer(arrays), arrays["x"])
        if unknown := set(arrays) - set(found.names):
            raise ValueError(f"{min(unknown)[:20]!r} is no array of a gradient")
        return found

    def entries(self) -> Iterator[tuple[str, Any]]:
        """``(name, array)`` in the order of backpropagation: ``J, W_L, b_L, …, W_1, b_1, x``."""
        yield LOSS, self.loss
        for layer in range(len(self.weights), 0, -1):
            yield array_name("W", layer), self.weights[layer - 1]
            if self.biases[layer - 1] is not None:
                yield array_name("b", layer), self.biases[layer - 1]
        yield "x", self.x


def worked_example(
    *,
    x: float = 1.0,
    w1: float = 2.0,
    b1: float = 0.0,
    w2: float = 3.0,
    b2: float = 1.0,
    y: float = 5.0,
    dtype: str = "float64",
) -> Case:
    """One hidden and one output unit, both ReLU: J = 2, and the gradient 4, 2, 6, 6 by hand.

    At the default numbers a1 = 2, a2 = 7, J = ½ (7 - 5)² = 2, and dJ/dw2 = 4, dJ/db2 = 2,
    dJ/dw1 = 6, dJ/db1 = 6. ``x=0`` and ``w2=-1, b2=2`` put it on a kink.
    """
    return Case.of([[[w1]], [[w2]]], [[b1], [b2]], [[x]], [[y]], dtype=dtype)
