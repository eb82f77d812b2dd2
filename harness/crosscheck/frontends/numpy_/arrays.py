"""Arrays that a traced function computes with, and what it learns from comparing them.

They are no ndarrays: NumPy would copy those silently, and with the numbers alone. What NumPy does
not hand over to them it asks them to turn into numbers, and that they refuse with the user's line,
unless nothing that is differentiated is in them.

`Traced` has numbers of the program. `Step` is what a comparison of such numbers says, or what was
chosen by it, as long as it may still become part of a continuous function. `Decided` is everything
else that numbers decide, such as ``argmax``: it may be passed on, and is refused where it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from crosscheck.frontends.numpy_.tracer import Codes, Tracer
from crosscheck.frontends.pieces import Pieces
from crosscheck.numbers.arrays import Array
from crosscheck.program.graph import Var
from crosscheck.tools.errors import UnsupportedError

__all__ = ["Decided", "Handler", "Object", "Step", "Traced", "dispatch", "handle_with"]

Handler = Callable[..., Any]

_HANDLERS: dict[str, Handler] = {}


def handle_with(**handlers: Handler) -> None:
    """Say who does what these arrays are asked for, by the kind of what is asked."""
    _HANDLERS.update(handlers)


def dispatch(name: str, tracer: Tracer, *arguments: Any) -> Any:
    """Call a handler, within a step of the tracer's."""
    with tracer.step():
        return _HANDLERS[name](tracer, *arguments)


class Object(NDArrayOperatorsMixin):
    """What all three have in common: NumPy's functions, operators and methods.

    Attributes:
        tracer: Of the function.
        value: The numbers of this case, as NumPy computed them.
    """

    tracer: Tracer
    value: Any

    __array_priority__ = 1000.0
    __hash__ = None  # type: ignore[assignment]

    @property
    def __class__(self) -> Any:
        """Users ask whether something is an ndarray, and NumPy's own code asks otherwise."""
        return np.ndarray

    @__class__.setter
    def __class__(self, other: Any) -> None:
        raise TypeError("the class of a traced array stays")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        return dispatch("ufunc", self.tracer, ufunc, method, inputs, keywords)

    def __array_function__(self, function: Any, types: Any, inputs: Any, keywords: Any) -> Any:
        return dispatch("function", self.tracer, function, inputs, keywords)

    def __getitem__(self, index: Any) -> Any:
        return dispatch("get", self.tracer, self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        dispatch("put", self.tracer, self, index, value)

    def __iter__(self) -> Iterator[Any]:
        if not self.value.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[k] for k in range(len(self.value)))

    def __len__(self) -> int:
        if not self.value.ndim:
            raise TypeError("len() of unsized object")
        return len(self.value)

    def __repr__(self) -> str:
        return f"traced {self.value!r}"

    def __contains__(self, other: Any) -> bool:
        return bool((self == other).any())

    def __copy__(self) -> Any:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("tracer", "value"):
            raise AttributeError(name)
        plain = getattr(np.ndarray, name, None)
        if plain is None:
            raise AttributeError(f"'numpy.ndarray' object has no attribute {name!r}")
        if name in _HANDLERS["methods"](self.tracer):
            return lambda *inputs, **keywords: dispatch(
                "method", self.tracer, name, self, inputs, keywords
            )
        self.tracer.refuse(
            f"ndarray.{name} is not understood",
            "Write it in functions that are listed in the documentation.",
            UnsupportedError,
        )

    # -- what only moves or measures -----------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an ndarray, as what follows."""
        return tuple(self.value.shape)

    @shape.setter
    def shape(self, shape: Any) -> None:
        self._reshape_in_place(shape)

    def _reshape_in_place(self, shape: Any) -> None:
        raise AttributeError("the shape of this array stays")

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return int(self.value.ndim)

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return int(self.value.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the numbers."""
        found: np.dtype[Any] = self.value.dtype
        return found

    @property
    def strides(self) -> tuple[int, ...]:
        """In bytes."""
        return tuple(self.value.strides)

    @property
    def itemsize(self) -> int:
        """Bytes of a number."""
        return int(self.value.itemsize)

    @property
    def nbytes(self) -> int:
        """Bytes of all."""
        return int(self.value.nbytes)

    @property
    def flags(self) -> Any:
        """How it is laid out."""
        return self.value.flags

    @property
    def T(self) -> Any:
        """The axes in reverse order."""
        return dispatch("function", self.tracer, np.transpose, (self,), {})

    @property
    def mT(self) -> Any:
        """The last two axes in each other's place."""
        return dispatch("function", self.tracer, np.swapaxes, (self, -1, -2), {})

    @property
    def real(self) -> Any:
        """The array itself."""
        return self

    # -- numbers ---------------------------------------------------------------------------------

    def _numbers(self, what: str, advice: str) -> Any:
        """The numbers, if they depend on nothing that is differentiated."""
        self.tracer.refuse(what, advice)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        found = self._numbers(
            "a differentiated array is put into an array of plain numbers",
            "Its derivative would be lost: begin such arrays with np.zeros, np.array or np.stack "
            "in this file, and write np.dot(a, b) for a.dot(b).",
        )
        return np.array(found, dtype=dtype)

    def __bool__(self) -> bool:
        return bool(
            self._numbers(
                "a branch on the numbers of a differentiated array",
                "Write both sides with np.where(condition, a, b), and np.maximum for max.",
            )
        )

    def __float__(self) -> float:
        return float(
            self._numbers(
                "the numbers of a differentiated array become plain ones",
                "Leave float() away, and use NumPy's functions for those of math.",
            )
        )

    def __int__(self) -> int:
        return int(
            self._numbers(
                "the numbers of a differentiated array become integers",
                "Such steps have no derivative: take integers as an argument.",
            )
        )

    def __index__(self) -> int:
        return int(
            self._numbers(
                "the numbers of a differentiated array are an index",
                "Take integers as an argument that is not differentiated.",
            ).__index__()
        )

    def __complex__(self) -> complex:
        return complex(float(self))

    def __round__(self, digits: int | None = None) -> Any:
        return round(float(self), digits)

    def __format__(self, words: str) -> str:
        return format(self.value[()] if not self.value.ndim else self.value, words)

    def item(self, *index: Any) -> Any:
        """A number."""
        return self[np.unravel_index(index[0], self.shape) if len(index) == 1 else index]

    def tolist(self) -> Any:
        """Numbers in lists."""
        return [each.tolist() if each.ndim else each for each in self] if self.ndim else self


@dataclass(eq=False, repr=False)
class Traced(Object):
    """An array of numbers of the program.

    Attributes:
        tracer: Of the function.
        value: float64.
        codes: Of the numbers, laid out as they are (`crosscheck.frontends.numpy_.tracer`).
        is_scalar: Whether NumPy has a number of its own there, that stays as it is.
    """

    tracer: Tracer
    value: Array
    codes: Codes
    is_scalar: bool = False

    @classmethod
    def of(cls, tracer: Tracer, var: Var, value: Any, is_known: bool, **more: Any) -> Traced:
        """The array that a value of the program is."""
        numbers = np.asarray(value, dtype=np.float64)
        if (
            not isinstance(value, np.ndarray)
            or value.dtype != np.float64
            or not numbers.flags.owndata
        ):
            numbers = numbers.copy(order="K")
        assert numbers.shape == var.shape, (numbers.shape, var.shape)
        codes = tracer.codes(var, numbers, is_known, **more)
        return cls(tracer, numbers, codes, isinstance(value, np.generic))

    @property
    def variable(self) -> Var:
        """The value of the program that this is."""
        return self.tracer.read(self.codes, self.value)

    @property
    def is_known(self) -> bool:
        """Whether it depends on nothing that is differentiated."""
        return self.tracer.is_known(self.codes)

    def _reshape_in_place(self, shape: Any) -> None:
        self.value.shape = shape
        self.codes.shape = shape

    def _numbers(self, what: str, advice: str) -> Any:
        if not self.is_known:
            self.tracer.refuse(what, advice)
        return self.value[()] if self.is_scalar else self.value


@dataclass(eq=False, repr=False)
class Step(Object):
    """What numbers are on which side of a threshold, or what is chosen by that.

    Attributes:
        tracer: Of the function.
        value: Truth values, or numbers.
        compared: What was compared, left less right.
        site: The number whose function this is, if it is of one.
        pieces: Which function, with truth values as 0 and 1.
        choose: The same as a value of the program, chosen by the numbers there are.
        order: What is the larger one where this is true, and the smaller one.
    """

    tracer: Tracer
    value: Any
    compared: tuple[Var, ...]
    site: Var | None = None
    pieces: Pieces | None = None
    choose: Callable[[], Var] | None = None
    order: tuple[Var, Var] | None = None

    def settled(self) -> Traced:
        """As numbers: what was compared decides from here on."""
        for each in self.compared:
            self.tracer.compare(each)
        value = np.asarray(self.value, dtype=np.float64)
        if self.choose is None:
            var = self.tracer.constant(value)
            return Traced.of(self.tracer, var, value, False, is_constant=True)
        return Traced.of(self.tracer, self.choose(), value, False)


@dataclass(eq=False, repr=False)
class Decided(Object):
    """What numbers decided, and no derivative tells.

    Attributes:
        tracer: Of the function.
        value: As NumPy has it.
        what: For people.
    """

    tracer: Tracer
    value: Any
    what: str

    def used(self) -> NoReturn:
        """It matters.

        Raises:
            UsageError: Always.
        """
        self.tracer.refuse(
            f"{self.what} of a differentiated array is used",
            "It may be returned beside the result, and not go into it; for the largest number "
            "there is np.max.",
        )

    def _numbers(self, what: str, advice: str) -> Any:
        self.used()
