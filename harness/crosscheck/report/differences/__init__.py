"""What differs between two reports, or two tables of one kind, in groups."""

from __future__ import annotations

from crosscheck.report.differences.difference import Difference
from crosscheck.report.differences.reading import difference

__all__ = ["Difference", "difference"]
