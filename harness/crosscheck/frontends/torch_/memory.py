"""Which numbers of a program stand where in memory.

PyTorch's tensors are windows on storages: a view has no numbers of its own, and what is written
through one window is seen through all. So values are kept by storage and *geometry*, the offset,
shape and strides of a window. A storage counts what is written into it; a value that was found
before the last writing is found anew, from the last array that covers all that has been written.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crosscheck.frontends.tracing import Known, Tracing, Value, shape_of
from crosscheck.program.graph import Shape
from crosscheck.tools.errors import UnsupportedError

__all__ = ["Geometry", "Memory", "geometry_of", "numbers_of"]


class Geometry(NamedTuple):
    """A window on a storage, in entries.

    Attributes:
        offset: Where it begins.
        shape: Its lengths.
        strides: How far apart neighbours along each axis are.
    """

    offset: int
    shape: Shape
    strides: Shape

    def places(self) -> NDArray[np.intp]:
        """Of each entry its place in the storage."""
        found = np.full((1,) * len(self.shape), self.offset, dtype=np.intp)
        for axis, (length, stride) in enumerate(zip(self.shape, self.strides, strict=True)):
            form = [1] * len(self.shape)
            form[axis] = length
            found = found + (np.arange(length) * stride).reshape(form)
        return found


def geometry_of(tensor: Any) -> Geometry:
    """The window that a tensor is."""
    return Geometry(tensor.storage_offset(), tuple(tensor.shape), tuple(tensor.stride()))


def numbers_of(tensor: Any) -> Any:
    """A tensor's numbers, as an array of its own."""
    plain = tensor.detach()
    plain = plain.double() if plain.is_floating_point() else plain
    return plain.resolve_neg().cpu().numpy().copy()


@dataclass
class _Storage:
    """What is known of a storage.

    Attributes:
        tensor: One of its tensors: while there is one, nothing else is put there.
        size: How many entries it has.
        base: A window that covers all that has been written.
        value: What is in that window.
        version: How often it was written into.
        values: Windows to what was found there, at which version.
    """

    tensor: Any
    size: int
    base: Geometry
    value: Value
    version: int = 0
    values: dict[Geometry, tuple[int, Value]] = field(default_factory=dict)

    @property
    def whole(self) -> Geometry:
        """All of it, as a row."""
        return Geometry(0, (self.size,), (1,))

    def numbering(self) -> NDArray[np.intp]:
        """Of each place its number in the base, -1 where nothing was written."""
        found = np.full(self.size, -1, dtype=np.intp)
        places = self.base.places()
        found[places] = np.arange(places.size).reshape(places.shape)
        return found


class Memory:
    """The values of all tensors that a function has met.

    Args:
        tracing: The program in the making.
    """

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing
        self._storages: dict[int, _Storage] = {}
        self._lost: dict[int, Any] = {}

    def lose(self, tensor: Any) -> None:
        """A result that has no rule: it is refused once anything is done with it."""
        self._lost[tensor.untyped_storage()._cdata] = tensor

    def is_lost(self, tensor: Any) -> bool:
        """Whether a tensor is such a result, or a view of one."""
        return tensor.untyped_storage()._cdata in self._lost

    def knows(self, tensor: Any) -> bool:
        """Whether something is known of the memory that a tensor is in."""
        return tensor.untyped_storage()._cdata in self._storages

    def put(self, tensor: Any, value: Value) -> None:
        """What a tensor holds that is new, or a view of one that is not."""
        key, window = tensor.untyped_storage()._cdata, geometry_of(tensor)
        if key not in self._storages:
            size = tensor.untyped_storage().nbytes() // tensor.element_size()
            self._storages[key] = _Storage(tensor, size, window, value)
        storage = self._storages[key]
        storage.values[window] = storage.version, value

    def get(self, tensor: Any) -> Value:
        """What a tensor holds; one that was never met is a constant of the function's own.

        Raises:
            UnsupportedError: It was computed where nothing of it was seen.
        """
        if not tensor.numel():
            return Known(numbers_of(tensor))
        key = tensor.untyped_storage()._cdata
        if self.is_lost(tensor):
            raise UnsupportedError(
                "a result goes in that was returned by an operation beside another"
            )
        storage = self._storages.get(key)
        if storage is None:
            if tensor.grad_fn is not None:
                raise UnsupportedError(
                    "a tensor goes in that was computed elsewhere; take it as an argument, or "
                    "detach() it"
                )
            self.put(tensor, Known(numbers_of(tensor)))
            return self.get(tensor)
        window = geometry_of(tensor)
        version, value = storage.values.get(window, (-1, None))
        if value is None or version != storage.version:
            value = self._read(storage, window)
            storage.values[window] = storage.version, value
        return value

    def write(self, tensor: Any, value: Value) -> None:
        """What is written into a tensor, and so into all windows on its memory."""
        if not tensor.numel():
            return
        self.get(tensor)
        storage = self._storages[tensor.untyped_storage()._cdata]
        window = geometry_of(tensor)
        if len(np.unique(window.places())) == storage.size:
            storage.base, storage.value = window, value
        else:
            before = self._read(storage, storage.whole)
            storage.value = self._overwritten(before, value, window.places())
            storage.base = storage.whole
        storage.version += 1
        storage.values[window] = storage.version, value

    def _read(self, storage: _Storage, window: Geometry) -> Value:
        if window == storage.base:
            return storage.value
        at = storage.numbering()[window.places()]
        return self._tracing.moved(storage.value, lambda _: at)

    def _overwritten(self, before: Value, value: Value, places: NDArray[np.intp]) -> Value:
        if isinstance(before, Known) and isinstance(value, Known):
            array = np.array(before.array)
            array[places] = value.array
            return Known(array, tuple(dict.fromkeys((*before.pairs, *value.pairs))))

        def change(old: Any, new: Any) -> Any:
            found = old.copy()
            found[places] = new
            return found

        assert math.prod(shape_of(value)) == places.size
        return self._tracing.moved_together([before, value], change)
