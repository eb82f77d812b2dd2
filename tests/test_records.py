"""Records in files: exact, strict, whole; what is none is refused in one line."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import jsonschema
import numpy as np
import pytest

from crosscheck.judge.verdict import Kind
from crosscheck.run.events import ExitCode
from crosscheck.tools.errors import UsageError
from crosscheck.tools.records import Decimal, Records, array_of, number, numbers, value_of
from crosscheck.tools.sealed import FileKind, bare, checksum


@dataclass(frozen=True)
class Part:
    """A record in a record."""

    name: str
    value: float | None = None


@dataclass(frozen=True)
class Whole:
    """A record with a field of each kind."""

    parts: tuple[Part, ...]
    table: Mapping[tuple[str, int], Mapping[Kind, int]]
    code: ExitCode
    seconds: Decimal
    word: Literal["one", "two"]
    pair: tuple[str, int] | None = None
    more: list[bool] = field(default_factory=list)
    mine: str = "default"


RECORDS = Records()
RECORDS.lay(Part, renamed={"value": "number"})
RECORDS.lay(Whole, left_out=("mine",), if_told=("more",))
WHOLE = Whole(
    (Part("a", -0.0), Part("b")),
    {("x", 1): {Kind.KINK: 3}},
    ExitCode.USAGE,
    Decimal(0.5),
    "two",
    ("y", 2),
)


def stored() -> Any:
    return json.loads(json.dumps(RECORDS.apart(WHOLE), allow_nan=False))


def test_a_record_is_put_together_as_it_was() -> None:
    assert RECORDS.together(stored(), Whole) == WHOLE


def test_the_fields_are_written_as_their_types_and_the_layout_say() -> None:
    assert stored() == {
        "parts": [
            {"name": "a", "number": {"hex": "-0x0.0p+0", "decimal": -0.0}},
            {"name": "b", "number": None},
        ],
        "table": [[["x", 1], {"KINK": 3}]],
        "code": 4,
        "seconds": 0.5,
        "word": "two",
        "pair": ["y", 2],
    }


@pytest.mark.parametrize(
    "value", [0.0, -0.0, 1 / 3, -5e-324, 1.7976931348623157e308, math.inf, -math.inf, math.nan]
)
def test_every_float_is_exact(value: float) -> None:
    text = json.dumps(number(value), allow_nan=False)
    again = value_of(json.loads(text))
    assert np.float64(again).tobytes() == np.float64(value).tobytes()


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (3, 1, 2)])
def test_arrays_are_exact(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(1).standard_normal(shape)
    again = array_of(json.loads(json.dumps(numbers(array))))
    assert (again.shape, again.tobytes()) == (array.shape, array.tobytes())


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("parts", "ab", "parts: 'ab' is not a list"),
        ("parts", [{"name": 1, "number": None}], "parts[0].name: 1 is not text"),
        ("parts", [{"number": None}], "parts[0]: name is missing"),
        ("parts", [["name"]], "parts[0]: a list of 1 is not an object"),
        ("parts", [{"name": "a", "number": 0.5}], "0.5 is not a number as hex and decimal"),
        ("table", {}, "table: an object of 0 is not a list"),
        ("table", [[["x", True], {}]], "table[0]: True is not a whole number"),
        ("table", [[["x"], {}]], "table[0]: a list of 1 is not a list of 2"),
        ("table", [[["x", 1], {"NICE": 3}]], "'NICE' is not a valid Kind"),
        ("parts", [{"name": "a"}], "parts[0]: number is missing"),
        ("code", 99, "code: 99 is not a valid ExitCode"),
        ("seconds", "1", "seconds: '1' is not a decimal number"),
        ("word", "three", "word: three not in literal"),
        ("word", ["one"], "word: ['one'] not in literal"),
        ("pair", "yz", "pair: 'yz' is not a list"),
        ("more", [1], "more[0]: 1 is not true or false"),
        ("mine", "yours", "all of it: has 'mine', which is no field of it"),
        ("code", "4" * 10**6, "code: '444"),
    ],
)
def test_nothing_is_converted_silently(field: str, value: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)) as caught:
        RECORDS.together({**stored(), field: value}, Whole)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "data",
    [
        {"hex": "0x1.0p+0", "decimal": 2.0},
        {"hex": "0x1.0p+0", "decimal": True},
        {"hex": "0x1.0p+0", "decimal": None},
        {"hex": "0x1.0p+9999", "decimal": None},
        {"hex": "1.0", "decimal": 1.0},
        {"hex": "nan", "decimal": 0.0},
        {"hex": 1.0, "decimal": 1.0},
        {"hex": "0x1.0p+0"},
        1.0,
        [],
    ],
    ids=str,
)
def test_a_number_whose_two_forms_differ_is_none(data: Any) -> None:
    with pytest.raises((ValueError, OverflowError)):
        value_of(data)


def test_the_schema_follows_from_the_types() -> None:
    schema = RECORDS.schema(Whole)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(json.loads(json.dumps(schema)))
    validator.validate(stored())
    for name, value in (("code", 99), ("parts", {}), ("table", [[["x"], {}]]), ("mine", "")):
        assert not validator.is_valid({**stored(), name: value}), name
    for name in stored():
        assert not validator.is_valid({k: v for k, v in stored().items() if k != name}), name


# Files

KIND = FileKind("a thing", version=7, instead="make it again", missing="; make one")
CONTENT = {"a": [1, 2.5, None], "b": {"ü": "x"}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "thing.json"
    found.write_text(json.dumps(KIND.sealed(CONTENT)))
    return found


def test_a_sealed_file_is_read_as_it_was_written(path: Path) -> None:
    assert bare(KIND.read(path)) == CONTENT


def test_a_file_that_is_laid_out_anew_is_the_same(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()), indent=4, sort_keys=True))
    assert bare(KIND.read(path)) == CONTENT


def test_no_byte_can_be_changed_or_be_missing(path: Path) -> None:
    whole = path.read_bytes()
    for at in range(len(whole)):
        rest = whole[at + 1 :]
        for changed in (whole[:at], whole[:at] + b"0" + rest, whole[:at] + rest):
            path.write_bytes(changed)
            try:
                found = bare(KIND.read(path))
            except UsageError:
                continue
            assert found == CONTENT  # a space between two fields, or a zero that was one


def sealed(content: Any) -> bytes:
    return json.dumps({**content, "checksum": checksum(content)}).encode()


HOSTILE = {
    "empty": (b"", "not a thing: Expecting value"),
    "binary": (b"\x00\xff\xfe", "not a thing: not text in UTF-8"),
    "deep lists": (b"[" * 10**5, "not a thing: nested too deeply"),
    "deep objects": (b'{"a":' * 10**5, "not a thing: nested too deeply"),
    "a deep field": (b'{"schema_version": 7, "a": ' + b"[" * 900 + b"]" * 900 + b"}", "deeply"),
    "a long number": (b'{"schema_version": ' + b"9" * 10**5 + b"}", "not a thing: not JSON"),
    "a large number": (
        b'{"schema_version": 7, "a": 1e999}',
        "its checksum is not that of the rest",
    ),
    "bare NaN": (b'{"schema_version": 7, "a": NaN}', "not a thing: not JSON"),
    "a list": (b"[]", "JSON, but not a thing: no field schema_version"),
    "no version": (b"{}", "JSON, but not a thing: no field schema_version"),
    "older": (sealed({"schema_version": 1}), "of version 1, and this crosscheck reads version 7"),
    "text": (sealed({"schema_version": "7" * 1000}), "of version '777"),
    "true": (sealed({"schema_version": True}), "of version True, and this"),
    "no checksum": (b'{"schema_version": 7}', "damaged: its checksum is not that of the rest"),
    "strange checksum": (b'{"schema_version": 7, "checksum": [[]]}', "damaged: its checksum"),
}


@pytest.mark.parametrize(("content", "complaint"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_such_file_is_refused_in_one_line(
    content: bytes, complaint: str, path: Path
) -> None:
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        KIND.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert complaint in message
    assert message.endswith("make it again")
    assert "\n" not in message
    assert len(message) < 200 + len(str(path))


def test_where_there_is_none_it_is_said_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file; make one"):
        KIND.read(tmp_path / "nothing.json")
    with pytest.raises(UsageError, match="is a folder, wanted a file"):
        KIND.read(tmp_path)
