"""What JSON Schema says of records, from their types; `crosscheck.tools.records` writes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from cattrs.cols import is_mapping
from cattrs.gen import override

__all__ = ["Schemas", "is_named", "is_paired", "is_tuple", "is_uniform"]

_PLAIN = {str: "string", bool: "boolean", int: "integer", NoneType: "null"}


def is_tuple(of: Any) -> bool:
    """Whether it is a tuple of any kind."""
    return get_origin(of) is tuple


def is_uniform(of: Any) -> bool:
    """Whether it is a tuple of any length, of one type."""
    return is_tuple(of) and get_args(of)[1:] == (...,)


def is_paired(of: Any) -> bool:
    """Whether it is a mapping whose keys are no text, and so a list of pairs in JSON."""
    if not is_mapping(of):
        return False
    key = get_args(of)[0]
    is_text = isinstance(key, type) and get_origin(key) is None and issubclass(key, str)
    return not is_text and get_origin(key) is not Literal


def is_named(of: Any) -> bool:
    """Whether it is a mapping whose keys are text."""
    return is_mapping(of) and not is_paired(of)


class Schemas:
    """JSON Schema (2020-12) of types.

    Args:
        special: That of types which are not understood by themselves.
        fields: From a data class to what is different about its fields, as `cattrs` takes it.
    """

    def __init__(
        self, special: Mapping[Any, Mapping[str, Any]], fields: Callable[[Any], Mapping[str, Any]]
    ) -> None:
        self._special, self._fields = special, fields
        self._named: dict[str, Any] = {}
        self._types: dict[str, Any] = {}

    def of(self, record: Any) -> dict[str, Any]:
        """That of a type, whole."""
        top = self._of(record)
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **top,
            "$defs": self._named,
        }

    def _of(self, of: Any) -> Mapping[str, Any]:
        parts = get_args(of)
        if of is Any:
            return {}
        if of in self._special:
            return self._refer(of, lambda: self._special[of])
        if dataclasses.is_dataclass(of):
            return self._refer(of, lambda: self._of_record(of))
        if of in _PLAIN:
            return {"type": _PLAIN[of]}
        if get_origin(of) is Literal:
            return {"enum": list(parts)}
        if isinstance(of, type) and issubclass(of, Enum):
            return {"enum": [each.value for each in of]}
        if get_origin(of) in (Union, UnionType):
            return {"anyOf": [self._of(part) for part in parts]}
        if is_paired(of):
            return _array(_tuple(map(self._of, parts)))
        if is_named(of):
            values = {"type": "object", "additionalProperties": self._of(parts[1])}
            return values if parts[0] is str else {**values, "propertyNames": self._of(parts[0])}
        if is_tuple(of) and not is_uniform(of):
            return _tuple(map(self._of, parts))
        return _array(self._of(parts[0]))

    def _of_record(self, of: Any) -> Mapping[str, Any]:
        told, hints = self._fields(of), get_type_hints(of)
        properties, wanted = {}, []
        for field in dataclasses.fields(of):
            layout = told.get(field.name, override())
            if not layout.omit:
                name = layout.rename or field.name
                properties[name] = self._of(hints[field.name])
                if not layout.omit_if_default:
                    wanted.append(name)
        return {
            "type": "object",
            "properties": properties,
            "required": wanted,
            "additionalProperties": False,
        }

    def _refer(self, of: Any, schema: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """A reference to the schema of a type with a name, which is made once."""
        name = of.__name__
        if self._types.setdefault(name, of) is not of:
            name = f"{of.__module__}.{name}"
        if name not in self._named:
            self._named[name] = {}  # it is being made
            self._named[name] = dict(schema())
        return {"$ref": f"#/$defs/{name}"}


def _array(items: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"type": "array", "items": items}


def _tuple(items: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    each = list(items)
    return {"type": "array", "prefixItems": each, "items": False, "minItems": len(each)}
