"""Whether a framework can be used here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["FrameworkState"]


@dataclass(frozen=True)
class FrameworkState:
    """Whether a framework can be used here.

    Attributes:
        name: The adapter's name.
        state: ``"available"``; ``"absent"`` (not installed); ``"broken"`` (importing it raised).
        versions: Package name to version; empty unless available.
        formulation: The formulation this run uses.
        mode: The mode this run uses.
        detail: For ``absent``, what to install; for ``broken``, the error in one line.
    """

    name: str
    state: Literal["available", "absent", "broken"]
    versions: Mapping[str, str] = field(default_factory=dict)
    formulation: str = ""
    mode: str = ""
    detail: str = ""
