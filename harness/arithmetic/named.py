"""Arithmetics coarser than a dtype's own that libraries offer, by name.

Each is a way of forming matrix products; everything else is in the dtype.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from harness.errors import UsageError

__all__ = ["ARITHMETICS", "Arithmetic", "arithmetics_of", "known_names"]


@dataclass(frozen=True)
class Arithmetic:
    """A way of forming matrix products that is coarser than a dtype's own.

    Attributes:
        name: As in ``--allow``.
        dtypes: Those that it may stand in for.
        meaning: What it does, in a line for a person.
    """

    name: str
    dtypes: tuple[str, ...]
    meaning: str


ARITHMETICS: Mapping[str, Arithmetic] = MappingProxyType(
    {
        each.name: each
        for each in (
            Arithmetic(
                "tf32",
                ("float32",),
                "multiplicands of matrix products rounded to 11 bits, accumulated in float32",
            ),
            Arithmetic(
                "bfloat16-multiplicands",
                ("float32",),
                "multiplicands of matrix products rounded to 8 bits, accumulated in float32",
            ),
            Arithmetic(
                "truncated",
                ("bfloat16",),
                "matrix products accumulated in float32, their results cut towards zero",
            ),
            Arithmetic(
                "float16-accumulation",
                ("float32",),
                "multiplicands of matrix products rounded to float16, accumulated in float16",
            ),
        )
    }
)
"""Every arithmetic by its name."""


def arithmetics_of(dtype: str) -> tuple[Arithmetic, ...]:
    """Those that may stand in for ``dtype``, in the order in which they are tried.

    None exists for float64, so that a float32 step hidden in a float64 gradient is a defect.
    """
    return tuple(each for each in ARITHMETICS.values() if dtype in each.dtypes)


def known_names(names: Iterable[str], what: str) -> tuple[str, ...]:
    """``names``, each once and in the order of `ARITHMETICS`.

    Args:
        names: Of arithmetics.
        what: Where they were given, for the message.

    Raises:
        UsageError: One of them is the name of none, or a string was given in place of several.
    """
    given = [names] if isinstance(names, str) else list(names)
    for name in given:
        if name not in ARITHMETICS:
            raise UsageError(
                f"{what}: {name!r} is no arithmetic that can be allowed; "
                f"wanted some of {', '.join(ARITHMETICS)}"
            )
    return tuple(name for name in ARITHMETICS if name in given)
