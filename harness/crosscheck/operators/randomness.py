"""Operators that draw random numbers, which are refused by name.

What such an operator returns is no function of its inputs, so that there is no gradient of it that
two libraries, or two calls, would have to agree on. Given the numbers that were drawn, as a mask,
it is one.
"""

from __future__ import annotations

import re

from crosscheck.tools.errors import UsageError

__all__ = ["refuse_random"]

_RANDOM = frozenset(
    {
        "alphadropout",
        "bernoulli",
        "dropblock",
        "dropconnect",
        "dropout",
        "droppath",
        "featurealphadropout",
        "featuredropout",
        "gaussiandropout",
        "gaussiannoise",
        "gumbelsoftmax",
        "multinomial",
        "randomnormal",
        "randomuniform",
        "rrelu",
        "spatialdropout",
        "stochasticdepth",
        "zoneout",
    }
)
"""Names without what stands between words, and without a number of axes."""


def refuse_random(name: str) -> None:
    """Raise a `UsageError` if an operator of this name draws random numbers."""
    plain = re.sub(r"\d+d$", "", re.sub(r"[^a-z0-9]", "", name.lower()))
    if plain in _RANDOM:
        raise UsageError(
            f"operator {name!r} draws random numbers, so that its result is no function of its "
            "inputs and has no gradient to agree on; give the mask that was drawn, with its "
            "scale, as an input and multiply: op 'multiply'"
        )
