"""Shapes of a function's arguments as text: ``"b i, o i, o -> b o"``.

An axis is a name, which has one size over all arguments; a whole number; an expression without
spaces such as ``2*h-1``; ``_``, of any size; ``#n``, of size 1 or n; ``*batch``, any number of
axes that are the same wherever this is written, and ``...`` the same without a name. A scalar has
no axes: ``"b i, ->"``. The arrow, with what is returned, may be left out. ``name=`` before an axis
is read over. NumPy's form of it, ``"(m,n),(n)->(m)"``, is read as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NoReturn

from crosscheck.cases.functions.axes import WANTED, Axis, axis_of
from crosscheck.tools.errors import UsageError, meant

__all__ = ["MOST_AXES", "Axes", "Shape", "Shapes", "is_count", "parsed"]

Shape = tuple[int, ...]
Axes = tuple[Axis, ...]

MOST_AXES = 2
"""How many axes ``*batch`` stands for at most in a drawn case."""

_GROUP = re.compile(r"\s*\(([^()]*)\)\s*")
_LONGEST = 2_000


@dataclass(frozen=True)
class Shapes:
    """The shapes of a function's arguments, and of what it returns.

    Attributes:
        text: What was written, for complaints.
        arguments: Name of each argument to its axes.
        outputs: The axes of each result; ``None`` if nothing is said of them.
    """

    text: str
    arguments: Mapping[str, Axes]
    outputs: tuple[Axes, ...] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What has a size of its own, in the order in which it is written.

        Names of axes; ``"*batch"`` and ``"..."`` for the number of their axes and ``"batch[0]"``,
        ``"...[0]"`` for each; ``"x[1]"`` for an axis of x that is ``_`` or ``#n``.
        """
        found: dict[str, None] = {}
        for argument, axes in self.arguments.items():
            for place, axis in enumerate(axes):
                if axis.kind == "several":
                    [name] = axis.names
                    found[_count(name)] = None
                    found |= dict.fromkeys(f"{name}[{each}]" for each in range(MOST_AXES))
                else:
                    found |= dict.fromkeys(axis.names)
                    if axis.kind in ("any", "one or"):
                        found[f"{argument}[{place}]"] = None
        return tuple(found)

    def settled(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """The sizes with those of ``#n`` made 1 or n, as near as they are given."""
        found = dict(sizes)
        for argument, place, axis in self._wide():
            at = f"{argument}[{place}]"
            found[at] = 1 if found.get(at, 1) == 1 else axis.size(found)
        return found

    def of(self, argument: str, sizes: Mapping[str, int]) -> Shape:
        """The shape of an argument under `settled` sizes.

        Raises:
            UsageError: It would have an axis of a size below 0.
        """
        return self._shape(argument, self.arguments[argument], sizes)

    def labels(self, argument: str, sizes: Mapping[str, int]) -> tuple[str, ...]:
        """What each axis of an argument is called: its text, ``"batch[0]"`` of several."""
        found: list[str] = []
        for axis in self.arguments[argument]:
            if axis.kind == "several":
                [name] = axis.names
                found += [f"{name}[{number}]" for number in range(sizes[_count(name)])]
            else:
                found.append(axis.text)
        return tuple(found)

    def outputs_of(self, sizes: Mapping[str, int]) -> tuple[Shape, ...] | None:
        """The shape of each result; ``None`` if nothing is said of one of them."""
        if self.outputs is None or any(
            axis.kind in ("any", "one or") for axes in self.outputs for axis in axes
        ):
            return None
        return tuple(self._shape("the result", axes, sizes) for axes in self.outputs)

    def is_possible(self, sizes: Mapping[str, int]) -> bool:
        """Whether all expressions come out at 1 or more, or at the 0 that a name has."""
        numbers = {name: size for name, size in sizes.items() if not is_count(name)}
        least = 0 if 0 in numbers.values() else 1
        every = [axis for axes in self._every() for axis in axes]
        return all(axis.size(sizes) >= least for axis in every if axis.kind == "size")

    def sizes_of(self, shapes: Mapping[str, Shape]) -> dict[str, int]:
        """The sizes that arguments of these shapes have; arguments may be left out.

        Raises:
            UsageError: The shapes do not fit what is written, or one another.
        """
        found: dict[str, int] = {}
        first: dict[str, str] = {}
        later: list[tuple[str, Shape, Axis, int, str]] = []

        def bind(name: str, size: int, argument: str, shape: Shape) -> None:
            if found.setdefault(name, size) != size:
                self._refuse(
                    f"{first[name]} has {name} = {found[name]} and "
                    f"{_with(argument, shape)} has {name} = {size}; wanted one size"
                )
            first.setdefault(name, _with(argument, shape))

        for argument, shape in shapes.items():
            axes = self.arguments[argument]
            for axis, place, part in self._matched(argument, axes, shape):
                if axis.kind == "several":
                    [name] = axis.names
                    bind(_count(name), len(part), argument, shape)
                    for number, size in enumerate(part):
                        bind(f"{name}[{number}]", size, argument, shape)
                elif axis.is_name:
                    bind(axis.text.rpartition("=")[2], part[0], argument, shape)
                else:
                    later.append((argument, shape, axis, part[0], f"{argument}[{place}]"))
        for argument, shape, axis, size, at in later:
            if axis.kind != "size":
                found[at] = size
            if axis.kind == "any" or not set(axis.names) <= set(found):
                continue
            wanted = axis.size(found)
            if size != wanted and not (axis.kind == "one or" and size == 1):
                self._refuse(f"{_with(argument, shape)} has {size} at {axis.text!r}, not {wanted}")
        return found

    def require_outputs(self, shapes: Sequence[Shape], sizes: Mapping[str, int]) -> None:
        """Refuse results that are not shaped as is written; anything if nothing is.

        Raises:
            UsageError: They are not.
        """
        if self.outputs is None:
            return
        if len(shapes) != len(self.outputs):
            self._refuse(f"{len(shapes)} results, wanted {len(self.outputs)}")
        for number, (axes, shape) in enumerate(zip(self.outputs, shapes, strict=True)):
            which = "the result" if len(shapes) == 1 else f"result {number}"
            for axis, _, part in self._matched(which, axes, shape):
                if axis.kind == "any":
                    continue
                several = axis.kind == "several"
                wanted = _several(axis, sizes) if several else (axis.size(sizes),)
                if part != wanted and not (axis.kind == "one or" and part == (1,)):
                    self._refuse(
                        f"{_with(which, shape)} has {_sizes(part)} at {axis.text!r}, not "
                        f"{_sizes(wanted)}"
                    )

    def checked_name(self, name: str, field: str) -> str:
        """``name`` if it has a size here.

        Raises:
            UsageError: It has none.
        """
        known = self.names
        if name not in known:
            wanted = ", ".join(known) or "none: all sizes are fixed"
            hint = meant(name, known)
            raise UsageError(f"{field}: no axis {str(name)[:60]!r}, wanted {wanted}{hint}")
        return name

    def _every(self) -> Iterator[Axes]:
        yield from self.arguments.values()
        yield from self.outputs or ()

    def _wide(self) -> Iterator[tuple[str, int, Axis]]:
        for argument, axes in self.arguments.items():
            for place, axis in enumerate(axes):
                if axis.kind == "one or":
                    yield argument, place, axis

    def _shape(self, argument: str, axes: Axes, sizes: Mapping[str, int]) -> Shape:
        found: list[int] = []
        for place, axis in enumerate(axes):
            if axis.kind == "several":
                found += _several(axis, sizes)
            elif axis.kind == "size":
                found.append(axis.size(sizes))
            else:
                found.append(sizes[f"{argument}[{place}]"])
        if min(found, default=0) < 0:
            words = ", ".join(f"{name} = {sizes[name]}" for axis in axes for name in axis.names)
            self._refuse(f"{argument} would have shape {tuple(found)} for {words}")
        return tuple(found)

    def _matched(
        self, argument: str, axes: Axes, shape: Shape
    ) -> Iterator[tuple[Axis, int, Shape]]:
        """Each axis, its place in the text, and the sizes that it stands for."""
        several = [place for place, axis in enumerate(axes) if axis.kind == "several"]
        spare = len(shape) - (len(axes) - len(several))
        if spare < 0 or (spare > 0 and not several):
            wanted = f"{len(axes) - len(several)}{' or more' if several else ''}"
            written = " ".join(axis.text for axis in axes)
            self._refuse(
                f"{_with(argument, shape)} has {len(shape)} axes, wanted {wanted}: {written!r}"
            )
        start = 0
        for place, axis in enumerate(axes):
            length = spare if place in several else 1
            yield axis, place, shape[start : start + length]
            start += length

    def _refuse(self, complaint: str) -> NoReturn:
        _refuse(self.text, complaint)


def parsed(text: str, names: Sequence[str]) -> Shapes:
    """The shapes that ``text`` says, for the arguments called ``names``, in order.

    Raises:
        UsageError: Something in the text is no axis, or there are more or fewer shapes than
            arguments.
    """
    if not isinstance(text, str):
        raise UsageError(f"shapes={text!r}: wanted text such as 'b i, o i -> b o', or arrays")
    if len(text) > _LONGEST:
        raise UsageError(f"shapes: {len(text)} characters, wanted {_LONGEST} at most")
    left, *rest = text.split("->")
    if len(rest) > 1:
        _refuse(text, f"'->' again at column {text.rindex('->') + 1}, wanted it once")
    arguments = _sides(text, left, 0)
    if not names and not left.strip():
        arguments = []
    if len(arguments) != len(names):
        count = f"{len(arguments)} shape{'' if len(arguments) == 1 else 's'} for"
        plural = "" if len(names) == 1 else "s"
        _refuse(text, f"{count} {len(names)} argument{plural}: {', '.join(names) or 'none'}")
    outputs = tuple(_sides(text, rest[0], len(left) + 2)) if rest else None
    found = Shapes(text, MappingProxyType(dict(zip(names, arguments, strict=True))), outputs)
    _require_bound(found)
    return found


def _sides(text: str, side: str, start: int) -> list[Axes]:
    """The shapes on one side of the arrow, which begins at ``start`` of ``text``."""
    groups = list(_GROUP.finditer(side))
    is_numpy = bool(groups) and re.sub(_GROUP, "", side).strip() == "," * (len(groups) - 1)
    found = []
    if is_numpy:
        for group in groups:
            found.append(_axes(text, group.group(1).replace(",", " "), start + group.start(1)))
        return found
    for part in side.split(","):
        found.append(_axes(text, part, start))
        start += len(part) + 1
    return found


def _axes(text: str, part: str, start: int) -> Axes:
    found: list[Axis] = []
    for match in re.finditer(r"\S+", part):
        column = start + match.start() + 1
        try:
            axis = axis_of(match.group())
        except ValueError:
            _refuse(text, f"{match.group()[:40]!r} at column {column} is no axis; {WANTED}")
        if axis.kind == "several" and any(each.kind == "several" for each in found):
            _refuse(text, f"{match.group()!r} at column {column} is the second of its kind")
        found.append(axis)
    return tuple(found)


def _require_bound(shapes: Shapes) -> None:
    """A name in the results, and one of several axes, is that of some argument."""
    single = {n for axes in shapes.arguments.values() for a in axes for n in _singles(a)}
    several = {a.names[0] for axes in shapes.arguments.values() for a in axes if _is_several(a)}
    for name in single & several:
        _refuse(shapes.text, f"{name!r} is one axis and several, wanted one of both")
    for axes in shapes.outputs or ():
        for axis in axes:
            unknown = set(axis.names) - (several if _is_several(axis) else single)
            if unknown:
                _refuse(
                    shapes.text,
                    f"{min(unknown)!r} is in the result only, wanted names of the arguments' axes",
                )


def _is_several(axis: Axis) -> bool:
    return axis.kind == "several"


def _singles(axis: Axis) -> tuple[str, ...]:
    return () if _is_several(axis) else axis.names


def _several(axis: Axis, sizes: Mapping[str, int]) -> Shape:
    [name] = axis.names
    return tuple(sizes[f"{name}[{number}]"] for number in range(sizes[_count(name)]))


def _count(name: str) -> str:
    """What the number of axes of a name is called."""
    return name if name == "..." else f"*{name}"


def is_count(name: str) -> bool:
    """Whether a name of `Shapes.names` is that of a number of axes."""
    return name == "..." or name.startswith("*")


def _with(argument: str, shape: Shape) -> str:
    return f"{argument} of shape {shape}"


def _sizes(part: Shape) -> str:
    return str(part[0]) if len(part) == 1 else str(part)


def _refuse(text: str, complaint: str) -> NoReturn:
    raise UsageError(f"shapes={text!r}: {complaint}")
