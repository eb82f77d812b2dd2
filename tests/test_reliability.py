"""What is committed of bad days: as many as there are to be, and nothing found."""

from __future__ import annotations

import json
from pathlib import Path

from hostile.targets import TARGETS

REPORTS = Path(__file__).resolve().parent.parent / "reports"
FILES = json.loads((REPORTS / "reliability-files.json").read_text("utf-8"))


def test_a_hundred_thousand_case_files_and_a_thousand_of_each_other_kind_were_tried() -> None:
    kinds = {each["name"]: each for each in FILES["kinds"]}
    assert kinds.keys() == TARGETS.keys()
    for name, counts in kinds.items():
        assert counts["files"] >= 1_000
        assert (counts["findings"], counts["kept"]) == (0, []), name
        assert counts["read"] + counts["refused"] == counts["files"]
        assert counts["slowest"] < FILES["limits"]["seconds"]
        assert counts["largest"] < FILES["limits"]["mebibytes"]
    cases = [each["files"] for each in kinds.values() if each["group"] == "cases"]
    assert sum(cases) >= 100_000
    for group, counts in FILES["groups"].items():
        members = [each for each in kinds.values() if each["group"] == group]
        for name, count in counts.items():
            assert count == sum(each[name] for each in members)
