"""Where in the user's code an operation is called: the frames of Python about it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from crosscheck.frontends.sources import Frame, source_of, written
from crosscheck.frontends.traced import Source

__all__ = ["Frames"]

_OURS = str(importlib.import_module("crosscheck.frontends.torch_").__path__[0])
_BETWEEN = frozenset({"_ops.py", "_tensor.py", "overrides.py"})
"""Files of PyTorch's through which a call of the user's may come."""


class Frames:
    """The frames of a function that is running.

    Args:
        torch: The library.
        outside: The frame that called the function: from it outwards none is the function's.
        modules: Name of each part of the module that is read, by identity.
    """

    def __init__(self, torch: Any, outside: FrameType, modules: Mapping[int, str]) -> None:
        self._outside, self._modules = outside, modules
        self._calling = torch.nn.Module._call_impl.__code__

    def source(self) -> Source | None:
        """Where in the user's code we are.

        In a module of PyTorch's own that no code of the user's calls it is the module's path.
        """
        frames: list[Frame] = []
        called = sys._getframe(0)
        frame: FrameType | None = called.f_back
        inside: tuple[Any, Frame] | None = None
        while frame is not None and frame is not self._outside:
            if frame.f_code is self._calling and inside is None:
                inside = frame.f_locals["self"], (called.f_code, called.f_lasti)
            if not frame.f_code.co_filename.startswith(_OURS):
                frames.append((frame.f_code, frame.f_lasti))
            called, frame = frame, frame.f_back
        found = source_of(frames)
        if found is None or inside is None or not _is_pytorchs(found.file):
            return found
        module, place = inside
        path = self._modules.get(id(module), "") or "the module"
        return replace(written(*place), text=f"{path} ({type(module).__name__})")

    @staticmethod
    def are_pytorchs() -> bool:
        """Whether it is PyTorch's own code that calls, as to check an argument."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and (
            frame.f_code.co_filename.startswith(_OURS)
            or Path(frame.f_code.co_filename).name in _BETWEEN
        ):
            frame = frame.f_back
        return frame is not None and _is_pytorchs(frame.f_code.co_filename)


def _is_pytorchs(file: str) -> bool:
    return "torch" in Path(file).parts
