"""How long to search: the profiles quick, default and nightly.

Each derives from Hypothesis's own default profile by name. With the variable CI set, Hypothesis
makes its profile `ci` the current one, which draws the same examples every time and keeps no
database: a profile derived from the *current* one would repeat the same cases night after night.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import hypothesis
from hypothesis.database import DirectoryBasedExampleDatabase

from crosscheck.tools.errors import UsageError, meant

__all__ = ["WIDE_STACK", "Profile", "profile", "settings"]

WIDE_STACK = 8
"""Cases in a stack of wide networks."""
_DATABASE = Path(".hypothesis/examples")


@dataclass(frozen=True)
class Profile:
    """How many cases of which kind are drawn, over all dtypes together.

    Attributes:
        name: What users type.
        smooth_examples: Single cases away from kinks; they shrink well.
        boundary_examples: Single cases on kinks and beside them.
        stacks: Stacks of cases away from kinks; they cover ground.
        stack_size: Cases in each stack.
        wide: Visits to the sizes at which kernels change, by turns with a stack of `WIDE_STACK`
            cases and with a single case; see `crosscheck.cases.wide`.
        nonfinite: Single cases with NaN, infinities or overflow.
        composed: Single cases of networks of operators, half of them on breakpoints.
        in_turn: Whether a shape has one output and one reduction in a run, by its seed: frameworks
            compile for each of them, which takes longer than many cases.
    """

    name: str
    smooth_examples: int
    boundary_examples: int
    stacks: int
    stack_size: int
    wide: int = 0
    nonfinite: int = 0
    composed: int = 0
    in_turn: bool = True

    @property
    def planned(self) -> int:
        """How many cases that makes, at most."""
        stacked = self.stacks * self.stack_size + (self.wide + 1) // 2 * WIDE_STACK
        single = self.smooth_examples + self.boundary_examples + self.nonfinite + self.composed
        return single + stacked + self.wide // 2

    def limited(self, examples: int) -> Profile:
        """The same profile with ``examples`` single cases: half of them boundary, no stacks.

        One in sixteen is not finite, one in eight is a network of operators, and none is wide.
        """
        boundary, nonfinite, composed = examples // 2, examples // 16, examples // 8
        return replace(
            self,
            smooth_examples=examples - boundary - nonfinite - composed,
            boundary_examples=boundary,
            nonfinite=nonfinite,
            composed=composed,
            stacks=0,
            wide=0,
        )

    def share(self, place: int, count: int) -> Profile:
        """What one of several dtypes has of the single cases and stacks; all have all of them.

        Args:
            place: Of the dtype, from 0.
            count: How many dtypes there are.
        """
        names = ("smooth_examples", "boundary_examples", "stacks", "nonfinite", "composed")
        parts = {
            name: getattr(self, name) // count + (place < getattr(self, name) % count)
            for name in names
        }
        return replace(self, **parts)

    def of_operators(self) -> Profile:
        """The same profile, with networks of operators for all of its single cases."""
        single = self.smooth_examples + self.boundary_examples + self.nonfinite + self.composed
        return replace(self.limited(0), composed=single)


_PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "quick": Profile("quick", 64, 64, 2, 256, 12, 16, 16),
        "default": Profile("default", 128, 128, 8, 512, 24, 32, 32),
        "nightly": Profile("nightly", 20_000, 20_000, 1_000, 1_024, 1_920, 2_000, 4_000, False),
    }
)


def profile(name: str) -> Profile:
    """The profile called ``name``.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in _PROFILES:
        hint = meant(name, _PROFILES)
        raise UsageError(f"profile={name!r}: wanted one of {', '.join(_PROFILES)}{hint}")
    return _PROFILES[name]


def settings() -> hypothesis.settings:
    """Hypothesis settings for a search: random, with a database, without a deadline.

    Compiling a framework's function for a new shape takes as long as thousands of cases, so
    neither a deadline nor the health check for slow data means anything here. The database is
    the folder ``.hypothesis/examples`` under the current one.
    """
    return hypothesis.settings(
        hypothesis.settings.get_profile("default"),
        derandomize=False,
        database=DirectoryBasedExampleDatabase(_DATABASE),
        deadline=None,
        suppress_health_check=[
            hypothesis.HealthCheck.too_slow,
            hypothesis.HealthCheck.data_too_large,
            hypothesis.HealthCheck.large_base_example,
        ],
    )
