"""JSON files that say which version they are of, and by a checksum whether they are whole.

The checksum is the SHA-256 of everything else in the file, written with sorted keys, without
spaces, in ASCII: a file that was only laid out anew still fits it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from crosscheck.tools.errors import UsageError
from crosscheck.tools.reading import json_of
from crosscheck.tools.words import cut, shown

__all__ = ["FileKind", "bare", "checksum"]

_VERSION, _CHECKSUM = "schema_version", "checksum"

_LARGEST, _MOST_VALUES = 2**28, 2**23
"""Bytes and values of a file that is read: enough for eighty cases of the largest that are kept."""


def checksum(content: Mapping[str, Any]) -> str:
    """That of a file's content, whatever stands under the name of the checksum itself.

    Raises:
        ValueError: It holds NaN or an infinity, which JSON has not.
    """
    rest = {name: value for name, value in content.items() if name != _CHECKSUM}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def bare(content: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in a file beside its version and checksum."""
    return {name: value for name, value in content.items() if name not in (_VERSION, _CHECKSUM)}


@dataclass(frozen=True)
class FileKind:
    """A kind of file that this package writes and reads.

    Attributes:
        name: What it is, for a person: "a report".
        version: Of its layout.
        instead: What to do about a file that cannot be read: "run 'crosscheck run' again".
        missing: What to do where there is none.
    """

    name: str
    version: int
    instead: str
    missing: str

    def sealed(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """``content`` with its version and checksum before it."""
        whole = {_VERSION: self.version, **content}
        return {_VERSION: self.version, _CHECKSUM: checksum(whole), **content}

    def schema(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """What JSON Schema says of the file, from what it says of the record in it."""
        name = content["$ref"].rpartition("/")[2]
        record = content["$defs"][name]
        seal = {
            _VERSION: {"const": self.version},
            _CHECKSUM: {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
        }
        whole = {
            **record,
            "properties": {**seal, **record["properties"]},
            "required": [*seal, *record["required"]],
        }
        return {**content, "$defs": {**content["$defs"], name: whole}}

    def read(self, path: Path) -> dict[str, Any]:
        """All that stands in a file of this version that is as it was written.

        Raises:
            UsageError: There is no such file, or it is another one, or damaged.
        """
        content = json_of(
            path,
            most=_LARGEST,
            most_values=_MOST_VALUES,
            name=self.name,
            instead=self.instead,
            missing=self.missing,
        )
        if not isinstance(content, dict) or _VERSION not in content:
            self._refuse(path, f"JSON, but not {self.name}: no field {_VERSION}")
        version = content[_VERSION]
        if type(version) is not int or version != self.version:
            told = cut(shown(repr(version)), 40)
            self._refuse(
                path,
                f"{self.name} of version {told}, and this crosscheck reads version {self.version}",
                "use the crosscheck that wrote it, or ",
            )
        if not _fits(content):
            self._refuse(path, f"{self.name} that is damaged: its checksum is not that of the rest")
        return content

    def damaged(self, path: Path, where: str) -> UsageError:
        """The complaint about a file whose checksum fits, and which holds something else."""
        return UsageError(
            f"{shown(str(path))}: {self.name} that is damaged: {where}; {self.instead}"
        )

    def _refuse(self, path: Path, complaint: str, advice: str = "") -> NoReturn:
        raise UsageError(f"{shown(str(path))}: {complaint}; {advice}{self.instead}")


def _fits(content: Mapping[str, Any]) -> bool:
    try:
        return bool(content.get(_CHECKSUM) == checksum(content))
    except (ValueError, RecursionError, MemoryError):
        return False
