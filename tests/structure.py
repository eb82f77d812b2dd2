"""The package's imports as a graph, and as the picture that CONTRIBUTING.md shows.

    python tests/structure.py

prints the picture.
"""

from __future__ import annotations

import ast
import contextlib
import graphlib
import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "harness" / "crosscheck"

ROOMS = (
    "tools",
    "workers",
    "numbers",
    "program",
    "formulas",
    "operators",
    "network",
    "frontends",
    "judge",
    "cases",
    "frameworks",
    "run",
    "studies",
    "explain",
    "doctor",
    "report",
    "pytest_plugin",
    "cli",
    "__main__",
)
"""From the ground upwards: each may import those before it."""


LOOKS = ("_repr_html_", "render")
"""Methods by which a value shows itself. What draws it is imported then, and knows its class."""


def modules() -> dict[str, Path]:
    """Every module of the package by its full name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(source: str, names: Mapping[str, object]) -> set[str]:
    """The modules of ``names`` that a source imports, also where a function does.

    But not for types only, nor where a value is asked how it looks (`LOOKS`).
    """

    def nodes(node: ast.AST) -> Iterator[ast.AST]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                continue
            if isinstance(child, ast.FunctionDef) and child.name in LOOKS:
                continue
            yield child
            yield from nodes(child)

    found = set()
    for node in nodes(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in names else node.module)
    return found & set(names)


@cache
def graph() -> dict[str, set[str]]:
    """Each module, and what it imports of the package."""
    every = modules()
    return {name: imports(path.read_text("utf-8"), every) - {name} for name, path in every.items()}


def room(name: str) -> str:
    """The part of the package that a module belongs to."""
    return name.split(".")[1] if "." in name else ""


def rooms() -> dict[str, set[str]]:
    """Each part, and the other parts that it imports."""
    found: dict[str, set[str]] = {name: set() for name in ROOMS}
    for name, used in graph().items():
        if room(name):
            found[room(name)] |= {room(each) for each in used} - {room(name), ""}
    return found


def circle(arrows: Mapping[str, set[str]]) -> list[str]:
    """Modules each of which is imported by the next one, and the first again; empty if none are."""
    try:
        graphlib.TopologicalSorter(arrows).prepare()
    except graphlib.CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def is_there(name: str) -> bool:
    """Whether a dotted name is a module of the package, or what one defines or imports."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        with contextlib.suppress(ModuleNotFoundError):
            found: object = importlib.import_module(".".join(parts[:cut]))
            break
    for part in parts[cut:]:
        fields = getattr(found, "__annotations__", {})
        if not hasattr(found, part) and part not in fields:
            return False
        found = getattr(found, part, None)
    return True


def picture() -> str:
    """A line for each part, the highest first: its name, what it is for, and what it imports."""
    used = rooms()
    lines = []
    for name in reversed(ROOMS):
        folder = PACKAGE / name
        source = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
        says = (ast.get_docstring(ast.parse(source.read_text("utf-8"))) or "").splitlines()[0]
        below = ", ".join(each for each in ROOMS if each in used[name]) or "nothing of the package"
        lines.append(f"{name}\n    {says}\n    imports {below}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(picture())
