"""What the certificates are measured on: widths, depths, rows, dtypes, and sizes of faults."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from crosscheck.network.dense import Case
from crosscheck.numbers.formats import format_of
from crosscheck.studies.power import gaussian_stack

__all__ = [
    "GROUPS",
    "LOOKED",
    "QUICK",
    "SIZES",
    "STRUCTURAL",
    "Effort",
    "Setting",
    "case_of",
    "settings",
]

SIZES = {"float64": (41, 44, 48), "float32": (12, 16, 20), "bfloat16": (5,)}
"""dtype to the k of the faults 1 + 2^-k."""

GROUPS = ("weights or biases", "weights", "biases", "inputs", "cotangents")
"""Where an entry is wrong: in arrays that are returned, or in what goes on from step to step."""

LOOKED = ("weights or biases", "inputs")
"""Of these the adjoint certificate is asked about the entry that is wrong."""

STRUCTURAL = ("zero", "x 2", "x -1", "x 1.01", "sign of a layer")
"""Faults of whole arrays."""


@dataclass(frozen=True)
class Setting:
    """A kind of network.

    Attributes:
        width: Of every layer, inputs and outputs included.
        depth: Layers.
        rows: Of the batch.
        dtype: Of the numbers.
    """

    width: int
    depth: int
    rows: int
    dtype: str

    @property
    def size(self) -> int:
        """Multiplications in a forward pass."""
        return self.width**2 * self.depth * self.rows

    @property
    def is_small(self) -> bool:
        """Whether all certificates are asked; otherwise the local one alone."""
        return self.width**2 * self.depth * self.rows <= 2**22

    def __str__(self) -> str:
        layers = f"{self.depth} layer{'' if self.depth == 1 else 's'}"
        rows = f"{self.rows} row{'' if self.rows == 1 else 's'}"
        return f"{self.width:,} wide, {layers}, {rows}, {self.dtype}"


@dataclass(frozen=True)
class Effort:
    """How much is measured in each setting.

    Attributes:
        cases: Networks of a width up to 16; of those as wide as 64 and wider there is one.
        entries: Faults in one returned entry, of each group and size.
        propagated: Faults in one entry of a cotangent, of each size.
        structural: Steps, or layers, of which each structural fault is planted.
        looked: Faults in one returned entry, of each group and size, that the adjoint certificate
            is asked about.
        judged: Faults of each sort that are put to the door too.
    """

    cases: int = 4
    entries: int = 400
    propagated: int = 6
    structural: int = 3
    looked: int = 4
    judged: int = 1

    def shared(self, cases: int) -> Effort:
        """The same in each of several networks, together at least as much as in one."""
        return replace(
            self,
            entries=-(-self.entries // cases),
            propagated=-(-self.propagated // cases),
            looked=-(-self.looked // cases),
        )


def settings(*, quick: bool = False) -> list[Setting]:
    """All that is measured; or a little of it, for a first look."""
    found: list[Setting] = []
    for dtype in SIZES:
        for rows in (1, 32):
            widths = (4, 64) if quick else (4, 16, 64, 256, 1024)
            found += [Setting(width, 2, rows, dtype) for width in widths]
            if not quick:
                found += [Setting(64, depth, rows, dtype) for depth in (1, 4, 16)]
                found.append(Setting(1024, 16, rows, dtype))
        if not quick:
            found.append(Setting(1024, 2, 128, dtype))
    return found


QUICK = Effort(cases=1, entries=100, propagated=2, structural=2, looked=2, judged=1)
"""For a first look, and for tests."""


def case_of(setting: Setting, seed: int) -> Case:
    """A Gaussian network whose numbers neither grow nor shrink with the layers.

    Weights are standard normal times √(2 / width) (He et al., 2015), biases times 1/8.
    """
    widths, rows = (setting.width,) * (setting.depth + 1), setting.rows
    stack = gaussian_stack(widths, rows=rows, count=1, dtype="float64", seed=seed)
    form, scale = format_of(setting.dtype), np.sqrt(2.0 / setting.width)
    return Case.of(
        [form.round(each[0] * scale) for each in stack.weights],
        [form.round(each[0] * 0.125) for each in stack.biases if each is not None],
        stack.x[0],
        stack.y[0],
        dtype=setting.dtype,
    )
