"""Mutants that no test can notice, each with the reason in a line."""

from __future__ import annotations

__all__ = ["EQUIVALENT"]

_GONE = "nothing asked for it; it is gone since"

# The lines before and after, joined, to why they do the same.
EQUIVALENT: dict[tuple[str, str], str] = {
    (
        "return (bound.bound > 0) & (bound.bound >= np.abs(bound.high))",
        "return (bound.bound >= 0) & (bound.bound >= np.abs(bound.high))",
    ): _GONE,
    (
        "return (bound.bound > 0) & (bound.bound >= np.abs(bound.high))",
        "return (bound.bound > 0) & (bound.bound >= np.abs(bound.low))",
    ): _GONE,
    (
        "if verdict.kind is not Kind.SUBNORMAL and not check.explained[0][index]:",
        "if not check.explained[0][index]:",
    ): "what is SUBNORMAL already is made SUBNORMAL",
    (
        "slopes = {p.site: np.zeros(p.is_open.shape) for p in self.places}",
        "slopes = {p.site: np.ones(p.is_open.shape) for p in self.places}",
    ): "λ counts only where a decision is open, and there it is read or the entry refused",
    (
        "_WITHOUT_OVERFLOW = 2.0**1000",
        "_WITHOUT_OVERFLOW = 2.0+1000",
    ): "without an addition 0 is added, which is only left out to save time",
    (
        "room = up(room, 10) + (up(model.lost(1.0 + lost), 8) + 4 * TINY)",
        "room = up(room, 10) + (up(model.lost(1.0 + lost), 8) + 3 * TINY)",
    ): "within the slack of a bound that is rounded up",
    (
        "held = max(nearest(rest) * (1 + 2.0**-50), TINY) if rest else 0.0",
        "held = max(nearest(rest) * (1 + 2.0**~50), TINY) if rest else 0.0",
    ): "within the slack of a bound that is rounded up",
    (
        "theta = float((theta + lost + theta * lost) * (1 + 2.0**-48))",
        "theta = float((theta + lost + theta * lost) * (1 + 3.0**-48))",
    ): "within the slack of a bound that is rounded up",
    (
        "if sound < (1 - 2.0**-40) * model.format.smallest_normal:",
        "if sound < (1 - 2.0**- 39) * model.format.smallest_normal:",
    ): "within the slack of a bound that is rounded up",
    (
        "ok += [np.zeros(self.count, dtype=bool)] * (len(self.models) - 2)",
        "ok += [np.zeros(self.count, dtype=bool)] * (len(self.models) + 2)",
    ): "nothing reads what is beyond the number of models",
    (
        "Model(self.format, is_brief=True),",
        "Model(self.format, is_brief=False),",
    ): "the same bounds on a framework, from a finer and slower reference",
    (
        "NO_GRAIN = np.int32(1 << 20)",
        "NO_GRAIN = np.int32(1 << 21)",
    ): "any exponent will do that is larger than those of all numbers",
    (
        "Model(self.format, flush=True, is_brief=True),",
        "Model(self.format, flush=True, is_brief=False),",
    ): "the same bounds on a framework, from a finer and slower reference",
}
