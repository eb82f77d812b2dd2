"""Which tests are long: those of `long.txt`, besides those that say so themselves.

They take two seconds or more on two cores, and shorter ones test the like; the nightly job runs
them (`nox -s tests -- -m long`). A test is named by its path in this folder, as pytest prints it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

LONG = frozenset(Path(__file__).with_name("long.txt").read_text("utf-8").splitlines())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them."""
    for item in items:
        if item.nodeid.removeprefix("tests/") in LONG:
            item.add_marker(pytest.mark.long)
