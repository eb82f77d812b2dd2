"""Mutants that no test can notice, each with the reason in a line."""

from __future__ import annotations

import re

__all__ = ["EQUIVALENT", "why"]

_SLACK = "within the slack of a bound that is rounded up"

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
    ): _SLACK,
    (
        "held = max(nearest(rest) * (1 + 2.0**-50), TINY) if rest else 0.0",
        "held = max(nearest(rest) * (1 + 2.0**~50), TINY) if rest else 0.0",
    ): _SLACK,
    (
        "theta = float((theta + lost + theta * lost) * (1 + 2.0**-48))",
        "theta = float((theta + lost + theta * lost) * (1 + 3.0**-48))",
    ): _SLACK,
    (
        "if sound < (1 - 2.0**-40) * model.format.smallest_normal:",
        "if sound < (1 - 2.0**- 39) * model.format.smallest_normal:",
    ): _SLACK,
    (
        "ok += [np.zeros(self.count, dtype=bool)] * (len(self.models) - 2)",
        "ok += [np.zeros(self.count, dtype=bool)] * (len(self.models) + 2)",
    ): "nothing reads what is beyond the number of models",
    (
        "Model(self.format, is_brief=True),",
        "Model(self.format, is_brief=False),",
    ): "the same bounds on a framework, from a finer and slower reference",
    (
        "if factors.size > 1 and (factors == factors.flat[0]).all():"
        "  # nearly always, and much cheaper",
        "if not factors.size > 1 and (factors == factors.flat[0]).all():"
        "  # nearly always, and much cheaper",
    ): "the same numbers, in more time",
    (
        "if factors.size > 1 and (factors == factors.flat[0]).all():"
        "  # nearly always, and much cheaper",
        "if factors.size > 1 and (factors == factors.flat[ 1]).all():"
        "  # nearly always, and much cheaper",
    ): "all are the same if they are the second one",
    (
        "if depth <= rows:",
        "if not depth <= rows:",
    ): "the same numbers, in more time",
    (
        "fine = np.ldexp(1.0, np.clip(grain - spare, -1100, 900)) >= model.least",
        "fine = np.ldexp(1.0, np.clip(grain - spare, -1100, 899)) >= model.least",
    ): "any exponent will do that is larger than those of all numbers",
    (
        "if model.flush and point != 0:",
        "if model.flush and point != -1:",
    ): "what may be read as zero is not near -1, and 0 has a rule of its own in the lines below",
    (
        "if any(piece[:1]):",
        "if all(piece[:1]):",
    ): "there is one number in it",
    (
        "if factors.size > 1 and (factors == factors.flat[0]).all():"
        "  # nearly always, and much cheaper",
        "if factors.size == 1 and (factors == factors.flat[0]).all():"
        "  # nearly always, and much cheaper",
    ): "the same numbers, in more time",
    (
        "return bound * (1.0 + (depth + 4) * 2.0**-52)",
        "return bound * (1.0 + (depth + 3) * 2.0**-52)",
    ): _SLACK,
    (
        "return np.asarray(np.expm1(np.multiply(factors, np.log1p(unit)))) * (1.0 + 2.0**-50)",
        "return np.asarray(np.expm1(np.multiply(factors, np.log1p(unit)))) * (1.0 + 2.0**- 49)",
    ): _SLACK,
    (
        "e: Array",
        "r: Array",
    ): "the annotation of a class without a value does nothing",
    (
        'value=lambda n, node, x: n.sum(x[0], node.settings["axes"], node.settings["keep"]),',
        'value=lambda n, node, x: n.sum(x[ -1], node.settings["axes"], node.settings["keep"]),',
    ): "there is one operand",
    (
        "known = (np.asarray(r) == 0) & (np.asarray(e) == 0) & (np.asarray(lost) == 0)",
        "known = (np.asarray(r) <= 0) & (np.asarray(e) == 0) & (np.asarray(lost) == 0)",
    ): "no bound is negative",
    (
        "own = up(size * q.r + r * q.size + size * q.size * unit, 6) + least + 2 * TINY",
        "own = up(size * q.r + r * q.size + size * q.size * unit, 6) + least + 3 * TINY",
    ): _SLACK,
    (
        "held = max(nearest(rest) * (1 + 2.0**-50), TINY) if rest else 0.0",
        "held = max(nearest(rest) * (1), TINY) if rest else 0.0",
    ): _SLACK,
    (
        "return np.zeros_like(self.e)",
        "return np.zeros_like(self.r)",
    ): "both are of one shape",
    (
        "def compared(self, index: int = 0) -> int:",
        "def compared(self, index: int = 1) -> int:",
    ): "it is the same of each case, and not looked at",
    (
        "_AT_ONCE = 2**19",
        "_AT_ONCE = 2/19",
    ): "how many entries are looked at together is a matter of time and memory",
    (
        "NONE_FITS = np.int32(-(1 << 20))",
        "NONE_FITS = np.int32(~(1 << 20))",
    ): "any exponent will do that is smaller than those of all numbers",
    (
        "if total.size * depth < _LARGE or not (left.is_data and right.is_data):",
        "if not total.size * depth < _LARGE or not (left.is_data and right.is_data):",
    ): "the same numbers, in more time",
    (
        "allowed = np.minimum(np.clip(grain, -1100, 900) + left.model.precision, 1023)",
        "allowed = np.minimum(np.clip(grain, -1100, 899) + left.model.precision, 1023)",
    ): "a certificate that nobody needs: of sums of which every bit is above 2^899",
    (
        "is_left = ~(total[is_open] > np.ldexp(1.0, allowed))",
        "is_left = ~(total[is_open] > np.ldexp( 2.0, allowed))",
    ): "what is looked at needlessly is held to its certificate all the same",
    (
        "if one.shape[-1] == depth or not is_open.any():",
        "if one.shape[-1] is depth or not is_open.any():",
    ): "after all terms the loop ends by itself",
    (
        "if ((total > most) | (total == 0)).all():",
        "if ((total > most) | (total <= 0)).all():",
    ): "a sum of sizes is not negative",
    (
        "columns = np.where((columns > 0).any(axis=-2), columns.max(axis=-2), np.inf)",
        "columns = np.where((columns > 0).all(axis=-2), columns.max(axis=-2), np.inf)",
    ): "what is looked at needlessly is held to its certificate all the same",
    **{
        ("half = np.nextafter(half * (1.0 + 2.0**-50), np.inf) + TINY", after): _SLACK
        for after in (  # the ends have been widened by 2^-49 of themselves before
            "half = np.nextafter(half * (1.0 + 2.0**- 49), np.inf) + TINY",
            "half = np.nextafter(half * (1.0 + 2.0**- 51), np.inf) + TINY",
            "half = np.nextafter(half / (1.0 + 2.0**-50), np.inf) + TINY",
        )
    },
    (
        "ordered = np.sort(np.where(informed, middles, np.nan), axis=-1)",
        "ordered = np.sort(np.where(informed, middles, np.nan), axis=+1)",
    ): "there are two axes",
    (
        "plain = may.plain & (low >= -end) & (high <= end)",
        "plain = may.plain & (high <= end)",
    ): "where no partial sum is beyond the dtype's largest number no bound is beyond float64's",
    (
        "beyond = near & ((least > limit) | (most < -limit))",
        "beyond = near & ((least > limit) | (most <= -limit))",
    ): "within the outward rounding of an end",
    (
        'PRODUCT_UNDERFLOW: float = struct.unpack("<d", (2).to_bytes(8, "little"))[0]',
        'PRODUCT_UNDERFLOW: float = struct.unpack("<d", ( 3).to_bytes(8, "little"))[0]',
    ): _SLACK,
    (
        "_AT_ONCE = 2**14",
        "_AT_ONCE = 2/14",
    ): "how many products are formed together is a matter of time and memory",
    (
        "if total.size * depth < _LARGE or not (left.is_data and right.is_data):",
        "if total.size * depth < _LARGE or  (left.is_data and right.is_data):",
    ): "a sum of a number that errs is not exact, whatever its grain",
    (
        "return inside, inside & told.reshape(count, -1).all(axis=1)",
        "return inside, inside & told.reshape(count, - 2).all(axis=1)",
    ): "NumPy takes any negative number for the size that is left",
    (
        "return np.asarray((np.abs(bound.high) <= bound.bound).reshape(count, -1).all(axis=1))",
        "return np.asarray((np.abs(bound.high) <= bound.bound).reshape(count, - 2).all(axis=1))",
    ): "NumPy takes any negative number for the size that is left",
    (
        "Model(form, flush=True, is_brief=True),",
        "Model(form, flush=True, is_brief=False),",
    ): "the same bounds on a framework, from a finer and slower reference",
    (
        "is_shown = np.isfinite(shown.e)",
        "is_shown = np.isfinite(shown.r)",
    ): "what may be anything has neither of its bounds, since the reference rounds it as well",
    (
        "operand = self._at_hand(node.inputs[0])",
        "operand = self._at_hand(node.inputs[ -1])",
    ): "there is one operand",
    (
        "if at == 0:",
        "if at == -1:",
    ): "the same relations, computed once more",
    (
        "inside = [bool(relation.part.within(1)[0])]",
        "inside = [bool(relation.part.within(1)[ -1])]",
    ): "there is one case",
    (
        "_AT_ONCE = 2**20",
        "_AT_ONCE = 2** 19",
    ): "how many terms are looked at together is a matter of time and memory",
    (
        "absolute = float(accumulator.lost(1)) * (1.0 + last) + cut * float(model.lost(1))",
        "absolute = float(accumulator.lost(1)) + cut * float(model.lost(1))",
    ): "where τ_a is lost u_a of the product is not; that, or c τ_d, is more than c u τ_a",
    (
        "is_positive = (product < 0) == (other.high < 0)",
        "is_positive = (product < 0) == (other.high <= 0)",
    ): "a factor that is zero says nothing of the other",
    (
        "first, last = start.max(axis=-1), end.min(axis=-1)",
        "first, last = start.max(axis=-1), end.min(axis=1)",
    ): "there are two axes",
    (
        "if verdict.kind is Kind.REDUCED:",
        "if verdict.kind == Kind.REDUCED:",
    ): "there is one of each kind",
    (
        "NO_GRAIN = np.int32(1 << 20)",
        "NO_GRAIN = np.int32(1 << 21)",
    ): "any exponent will do that is larger than those of all numbers",
    (
        "Model(self.format, flush=True, is_brief=True),",
        "Model(self.format, flush=True, is_brief=False),",
    ): "the same bounds on a framework, from a finer and slower reference",
}


def why(before: str, after: str) -> str:
    """Why no test can notice a change; empty if nobody has said so.

    `crosscheck.numbers.rounding.up` enlarges a bound by twice what so many roundings take, and by
    four roundings more: one rounding more or less makes no difference that can be seen.
    """
    one, other = (re.findall(r"\w+|\S", text) for text in (before, after))
    if len(one) == len(other):
        changed = [at for at, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
        if len(changed) == 1 and _is_depth(one, changed[0]):
            a, b = one[changed[0]], other[changed[0]]
            if a.isdigit() and b.isdigit() and abs(int(a) - int(b)) == 1:
                return _SLACK
    return EQUIVALENT.get((before, after), "")


def _is_depth(words: list[str], at: int) -> bool:
    """Whether a word is the second argument of `up`."""
    if words[at - 1 : at] != [","] or words[at + 1 : at + 2] != [")"]:
        return False
    depth = 0
    for back in range(at - 2, 0, -1):
        depth += {")": 1, "(": -1}.get(words[back], 0)
        if depth < 0:
            return words[back - 1] == "up"
    return False
