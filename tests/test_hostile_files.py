"""Files are data with limits: what one declares is held against what it holds before it is read."""

from __future__ import annotations

import io
import json
import os
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosscheck.network.files import read_any_case
from crosscheck.network.files.arrays import from_npz, from_safetensors
from crosscheck.network.files.declared import MOST_NUMBERS
from crosscheck.network.files.json_ import from_json_text
from crosscheck.network.files.numbers import LONGEST
from crosscheck.numbers.accuracy import read_record
from crosscheck.studies.conventions.expected import read_expected
from crosscheck.studies.conventions.table import read_table
from crosscheck.tools.errors import UsageError
from crosscheck.tools.reading import DEEPEST, MOST_VALUES, bytes_of, json_of, refused_json
from crosscheck.tools.sealed import FileKind

KIND = FileKind("a report", version=1, instead="run it again", missing="")

READERS = {
    "case.json": read_any_case,
    "case.npz": read_any_case,
    "case.safetensors": read_any_case,
    "report.json": lambda path: KIND.read(Path(path)),
    "conventions.json": lambda path: read_table(Path(path)),
    "divergences.json": lambda path: read_expected(Path(path)),
    "accuracy.json": lambda path: read_record(Path(path)),
}


def complaint(function: Any, *arguments: Any) -> str:
    """What is complained of, in one line."""
    with pytest.raises(UsageError) as caught:
        function(*arguments)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert len(message) < 400
    return message


# -- what is no file -----------------------------------------------------------------------


@pytest.mark.parametrize("name", READERS)
def test_a_pipe_is_not_waited_for(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    os.mkfifo(path)
    assert complaint(READERS[name], path) == f"{path}: is a pipe, wanted a file"


def test_a_device_and_a_folder_are_no_files(tmp_path: Path) -> None:
    assert complaint(lambda: bytes_of("/dev/zero", most=9)) == (
        "/dev/zero: is a device, wanted a file"
    )
    assert complaint(lambda: bytes_of(tmp_path, most=9)).endswith("is a folder, wanted a file")
    (tmp_path / "link.json").symlink_to("/dev/zero")
    assert complaint(read_any_case, tmp_path / "link.json").endswith("is a device, wanted a file")


@pytest.mark.parametrize("name", READERS)
def test_a_sparse_file_is_refused_by_its_size(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.touch()
    os.truncate(path, 2**40)
    assert re.search(
        r"1,099,511,627,776 bytes, wanted at most [0-9,]+ bytes", complaint(READERS[name], path)
    )


def test_what_declares_nothing_and_holds_much_is_read_up_to_the_limit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 10)
    assert bytes_of(tmp_path / "file", most=10) == b"x" * 10
    assert "10 bytes, wanted at most 9" in complaint(lambda: bytes_of(tmp_path / "file", most=9))
    assert "more than that" in complaint(lambda: bytes_of("/proc/self/maps", most=9))


@pytest.mark.parametrize("name", [b"\xff\xfe.json", b"\x1b[2J.json", b"a\nb.json"])
def test_a_strange_name_is_told_in_characters_that_can_be_shown(
    name: bytes, tmp_path: Path
) -> None:
    path = os.fsdecode(os.path.join(os.fsencode(tmp_path), name))
    assert complaint(read_any_case, path).isprintable()
    Path(path).write_text("{")
    assert complaint(read_any_case, path).isprintable()
    assert complaint(KIND.read, Path(path)).isprintable()


def test_a_name_that_is_none_is_refused() -> None:
    assert complaint(read_any_case, "a\0b.json").isprintable()
    assert "embedded null" in complaint(lambda: bytes_of("a\0b", most=9))
    with pytest.raises(UsageError, match="too long"):
        read_any_case("x" * 5000 + ".json")


# -- JSON ----------------------------------------------------------------------------------


def a_number(text: str) -> bytes:
    return f'{{"weights": [[[1]]], "x": [[{text}]], "y": [[1]]}}'.encode()


def test_nesting_is_counted_before_anything_is_parsed() -> None:
    deep = b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1)
    assert refused_json(deep) == f"nested too deeply, wanted at most {DEEPEST} levels"
    assert refused_json(deep[1:-1]) == ""
    assert refused_json(b'{"a":' * (DEEPEST + 1) + b"1" + b"}" * (DEEPEST + 1))
    texts = json.dumps(["[" * 100, '\\"[[[', "]" * 100] * 100).encode()
    assert refused_json(texts) == ""
    assert refused_json(b'["' + b"[" * 1000) == ""  # a text that does not end is none of them
    hidden = b'["]]]]]]]]",' * (DEEPEST + 1)  # brackets of a text do not undo others
    assert refused_json(hidden).startswith("nested")


def test_values_are_counted_before_anything_is_parsed() -> None:
    assert refused_json(b"[" + b"[]," * MOST_VALUES).endswith(f"wanted at most {MOST_VALUES:,}")
    assert refused_json(b"[" + b"," * (MOST_VALUES - 2)) == ""


@pytest.mark.parametrize("text", ['"\\"', '"', "[[", '"\\', '"a",', '"\\\\'])
def test_what_is_counted_is_counted_in_linear_time(text: str) -> None:
    # Quadratic, this would be 10^12 steps; the test's own time is its limit.
    refused_json(text.encode() * (2**20 // len(text)))


@pytest.mark.parametrize("tail", ["z", "g", ".", "..", "p", "p+z", "_"])
def test_a_long_hex_number_with_a_wrong_end_takes_no_time(tail: str) -> None:
    text = "0x" + "f" * (LONGEST - 2 - len(tail)) + tail
    for each in (text, text + "f" * LONGEST):  # 35 s, where each place of the point is tried
        assert "is the string '0xfff" in complaint(from_json_text, a_number(f'"{each}"'), "here")


@pytest.mark.parametrize(
    "text", ["9" * 100_000, "-" + "9" * 5000, "1." + "3" * 50_000, "1e" + "9" * 50_000]
)
def test_a_long_number_is_refused_and_not_computed_with(text: str) -> None:
    assert re.search("beyond the largest|characters", complaint(from_json_text, a_number(text), ""))


def test_a_whole_number_of_a_report_has_64_bits_at_most(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    for text, right in ((str(2**64 - 1), True), (str(2**64), False), ("1" * 5000, False)):
        path.write_text(f"[{text}]")
        if right:
            assert json_of(path, name="a list", instead="") == [2**64 - 1]
        else:
            assert "more than 64 bits" in complaint(
                lambda: json_of(path, name="a list", instead="")
            )


def test_other_encodings_are_no_way_around_the_limits(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(("[" + "]").encode("utf-16"))
    assert "UTF-8" in complaint(lambda: json_of(path, name="a list", instead="no"))
    assert "UTF-8" in complaint(from_json_text, path.read_bytes(), "here")


# -- files of arrays -----------------------------------------------------------------------


def npy(shape: Any, dtype: str = "<f8", data: bytes = b"") -> bytes:
    head = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape!r}, }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data


def packed(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return buffer.getvalue()


ONE = npy((1, 1), data=struct.pack("<d", 1.0))


def ones(**members: bytes) -> dict[str, bytes]:
    return {"W1": ONE, "x": ONE, "y": ONE, **members}


def test_what_is_written_here_is_read() -> None:
    assert from_npz(packed(ones()), "here").key == from_npz(packed(ones(), 0), "here").key


BOMBS = {
    "zeros": (ones(W1=npy((2**25,), "|u1", bytes(2**25))), "more than 16,777,216 numbers in"),
    "many": ({f"W{n}": npy((2**21,), "|u1", bytes(2**21)) for n in range(1, 10)}, "more than 16,7"),
    "declared": (ones(W1=npy((2**40, 2**10))), "declares 1,125,899,906,842,624 numbers of 8 bytes"),
    "overflowing": (ones(W1=npy((2**32, 2**32, 2**32))), "numbers of 8 bytes, and the file has 0"),
    "negative": (ones(W1=npy((-1, -1), data=bytes(8))), "damaged or no .npz file"),
    "nothing": (ones(W1=npy((2**50,), "<U0")), "more than 16,777,216 numbers"),
    "too-few": (ones(W1=npy((3, 1), data=bytes(8))), "declares 3 numbers of 8 bytes, and the file"),
    "too-many": (
        ones(W1=npy((1, 1), data=bytes(80))),
        "declares 1 numbers of 8 bytes, and the fil",
    ),
    "header": (ones(W1=b"\x93NUMPY\x02\x00\xff\xff\xff\x7f"), "damaged or no .npz file"),
    "nested": (ones(W1=npy("(" * 3000 + ")" * 3000)), "damaged or no .npz file"),
    "objects": (ones(W1=npy((1, 1), "|O", bytes(8))), "holds Python objects, which are not loaded"),
    "another": ({"W1.txt": b"", **ones()}, "W1.txt"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_an_npz_that_declares_too_much_or_too_little_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    members, words = BOMBS[name]
    content = packed(members)
    monkeypatch.setattr(np, "load", None)  # it is not come to that
    if name == "another":
        content = content.replace(b"W1.txt.npy", b"W1.txt.nix")
        words = "'W1.txt.nix' is no array"
    assert words in complaint(from_npz, content, "here")


def test_an_npz_of_a_million_members_or_of_other_packings_is_refused() -> None:
    assert "more than 4,096 arrays" in complaint(from_npz, b"PK\x01\x02" * 10_000, "here")
    for method in (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
        assert "packed in a way" in complaint(from_npz, packed(ones(), method), "here")


def test_a_text_that_is_none_is_refused() -> None:
    text = npy((), "<U4", struct.pack("<4I", *map(ord, "relu")))
    assert from_npz(packed(ones(output=text)), "here").network.output == "relu"
    for order in "<>":
        none = npy((), f"{order}U4", struct.pack(f"{order}4I", 0x110000, 2**32 - 1, 0, 0))
        assert "no characters" in complaint(from_npz, packed(ones(output=none)), "here")


def tensors(header: Any, data: bytes = bytes(24), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(shape: Any = (1, 1), places: Any = (0, 8), dtype: Any = "F64") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": places}


def three(**changed: Any) -> dict[str, Any]:
    found = {n: tensor(places=(8 * i, 8 * i + 8)) for i, n in enumerate(("W1", "x", "y"))}
    return {**found, **changed}


BAD_TENSORS = {
    "overflow": (three(W1=tensor([2**32, 2**32])), "sizes that fit into the file"),
    "wrapped": (three(W1=tensor([2**30] * 3)), "declares 1,237,940,039,285,380,274,899,124,224 nu"),
    "empty": (three(W1=tensor([2**40, 0], (0, 0))), "sizes that fit into the file"),
    "large": (three(W1=tensor([2**25], (0, 2**28))), f"more than {MOST_NUMBERS:,} numbers in all"),
    "axes": (three(W1=tensor([1] * 1000)), "shape is a list, wanted a few whole numbers"),
    "float": (three(W1=tensor([1.0, 1.0])), "shape is a list, wanted a few whole numbers"),
    "negative": (three(W1=tensor([-1, -1])), "shape is a list, wanted a few whole numbers"),
    "bool": (three(W1=tensor([True, True])), "shape is a list, wanted a few whole numbers"),
    "offsets": (three(W1=tensor(places=[0])), "wanted sizes that fit into the file"),
    "backwards": (three(W1=tensor(places=[8, 0])), "and the file has -8 bytes"),
    "dtype": (three(W1=tensor(dtype=["F64"])), "'W1' is a list, wanted F64"),
    "escape": (three(W1=tensor(dtype="\x1b")), "'W1' is the string '\\x1b', wanted F64"),
    "no-object": (three(W1=7), "'W1' is the number 7, wanted one with dtype"),
    "metadata": ({"__metadata__": [1], **three()}, "__metadata__ is a list, wanted an object"),
    "list": ([], "its header is no object"),
    "no-json": (b"{", "its header is cut off or too long"),
    "deep": (b"[" * 1000, "nested too deeply"),
    "digits": (b'{"a":' + b"9" * 5000 + b"}", "its header is no JSON"),
}


@pytest.mark.parametrize("name", BAD_TENSORS)
def test_tensors_that_do_not_fit_what_is_declared_are_refused(name: str) -> None:
    header, words = BAD_TENSORS[name]
    assert words in complaint(from_safetensors, tensors(header), "here")


def test_a_header_that_is_longer_than_the_file_is_refused() -> None:
    assert from_safetensors(tensors(three()), "here").network.widths == (1, 1)
    for length in (0, 2**63, 2**21):
        assert "cut off or too long" in complaint(
            from_safetensors, tensors(three(), bytes(2**22), length), "here"
        )
