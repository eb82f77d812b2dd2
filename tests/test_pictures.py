"""Pictures are taken of every page; where nothing can take them, that is said in one line."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace

import pictures
import pytest

ROOT = Path(__file__).resolve().parents[1]


class Ended(Exception):
    """A session ended with an error."""


def test_without_a_browser_the_session_ends_with_one_line_and_installs_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nox_spec = importlib.util.spec_from_file_location("its_noxfile", ROOT / "noxfile.py")
    assert nox_spec is not None
    assert nox_spec.loader is not None
    its = importlib.util.module_from_spec(nox_spec)
    nox_spec.loader.exec_module(its)
    monkeypatch.setenv("PATH", str(tmp_path))

    def error(line: str) -> None:
        raise Ended(line)

    with pytest.raises(Ended, match=r"^no Chromium, Chrome or Edge on the PATH; wanted .*$"):
        its.pictures.func(SimpleNamespace(error=error, posargs=[]))


def test_a_browser_is_found_by_any_of_its_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert pictures.browser() is None
    for name in reversed(pictures.BROWSERS):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
        assert pictures.browser() == str(tmp_path / name)


def test_a_long_page_is_cut_into_pictures_without_a_gap(tmp_path: Path) -> None:
    clips = []

    def screenshot(*, path: Path, clip: dict[str, int], full_page: bool) -> None:
        assert full_page
        clips.append((path.name, clip["y"], clip["height"]))

    page = SimpleNamespace(evaluate=lambda script: [390, 5000], screenshot=screenshot)
    taken = [each.name for each in pictures._whole(page, tmp_path / "kinks-390-dark")]
    assert taken == [name for name, _, _ in clips]
    assert len(set(taken)) == len(taken) == 3
    ends = [top + height for _, top, height in clips]
    assert [top for _, top, _ in clips] == [0, *ends[:-1]]
    assert ends[-1] == 5000


def test_the_pictures_of_the_readme_are_among_those_that_are_taken() -> None:
    shown = re.findall(r"reports/([\w-]+\.png)", (ROOT / "README.md").read_text("utf-8"))
    assert set(shown) == set(pictures.IN_README.values())
