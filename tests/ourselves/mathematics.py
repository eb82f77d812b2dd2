"""The modules of the mathematics, and by which tests each is held: the table of the mutants."""

from __future__ import annotations

from pathlib import Path

__all__ = ["MATHEMATICS", "SOURCES", "TESTS", "path_of"]

TESTS = Path(__file__).parents[1]
SOURCES = TESTS.parent / "harness" / "crosscheck"

_SUMS = ("test_bounds.py", "test_verdicts.py", "test_program_rules.py", "test_loss_bounds.py")
_PROGRAMS = ("test_program_rules.py", "test_program_gradients.py", "test_local.py")
_LOCAL = ("test_local.py",)
_ADJOINT = ("test_adjoint.py",)
_NONFINITE = ("test_nonfinite.py",)
_RELATIONS = ("test_relations.py",)

# A module is named as in `harness/crosscheck`, with points. A test file here imports no framework;
# of those that reach a module, these are the ones that are about it.
MATHEMATICS: dict[str, tuple[str, ...]] = {
    "numbers.enclosure": (*_SUMS, "test_coarse.py"),
    "numbers.terms": _SUMS,
    "numbers.bounded": ("test_bounded.py", *_SUMS, "test_coarse.py"),
    "numbers.scaling": ("test_scaling.py", *_SUMS),
    "numbers.grains": ("test_grains.py", *_SUMS),
    "numbers.rounding": ("test_rounding.py", *_SUMS),
    "numbers.sides": ("test_sides.py", *_PROGRAMS),
    "numbers.piecewise_values": _PROGRAMS,
    "numbers.piecewise_slopes": ("test_slopes.py", *_PROGRAMS),
    "numbers.model": ("test_model.py", *_SUMS, "test_coarse.py"),
    "numbers.closing": _NONFINITE,
    "numbers.endless": _NONFINITE,
    "numbers.extended": _NONFINITE,
    "numbers.double_double": ("test_bounds.py", "test_ieee.py", "test_program_gradients.py"),
    "judge.local.step": _LOCAL,
    "judge.local.check": ("test_with_steps.py", *_LOCAL),
    "judge.local.judge": ("test_with_steps.py", *_LOCAL),
    "judge.local.programs": _LOCAL,
    "judge.local.ways": ("test_ways.py", *_LOCAL),
    "judge.certificates": ("test_with_steps.py",),
    "judge.adjoint.boxes": _ADJOINT,
    "judge.adjoint.forward": _ADJOINT,
    "judge.adjoint.judge": _ADJOINT,
    "judge.adjoint.terms": _ADJOINT,
    "judge.programs.tangents": ("test_forward_operators.py", *_ADJOINT),
    "judge.relations.bounds": _RELATIONS,
    "judge.relations.factors": _RELATIONS,
    "judge.relations.judge": _RELATIONS,
    "judge.relations.moves": _RELATIONS,
    "program.rules": _PROGRAMS,
    "program.derive": _PROGRAMS,
    "program.enclosures": ("test_verbs.py", *_PROGRAMS, "test_adjoint.py"),
    "judge.entries": ("test_entries.py", "test_verdicts.py", "test_local.py"),
    "judge.vacuity": ("test_entries.py", "test_verdicts.py", "test_wide.py"),
}


def path_of(module: str) -> Path:
    """The file of a module of the mathematics."""
    return SOURCES.joinpath(*module.split(".")).with_suffix(".py")
