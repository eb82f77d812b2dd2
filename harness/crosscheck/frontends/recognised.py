"""A traced program with what is a known compound, written out, made that compound.

The a-priori bound of a program holds for whoever computes by the same expansion, sums in any order.
People write the same mathematics otherwise: a library's softmax for e / Σ e, a backward pass in the
result that was kept, a norm that is folded into scale and shift. So where the steps of a program
are one of the compounds of `crosscheck.frontends.rows`, `crosscheck.frontends.functions` and
`crosscheck.frontends.norms`, they are replaced by all known ways to compute it
(`crosscheck.frontends.formulations`), what is written among them; besides

    c (A B)                          as c (A B), (c A) B, A (c B), (√c A) (√c B)
    softmax(z) V                     also as one operation, divided at the end
    -Σ y log softmax(z)              also row by row, with the shares less the targets
    y log σ(z) + (1 - y) log(1 - σ(z))    also as y z - softplus(z)

**A shift has no derivative.** Let F(z, m) be one of the compounds of rows, written out with m the
largest of z taken away. F(z, m) is the same for every m, so ∂F/∂m = 0 for every z and m, and the
derivative of F(z, m(z)) is ∂F/∂z, whatever m is differentiated to at a tie. The cotangent that the
uses of m send to it adds up to g · ∂F/∂m = 0 exactly, for any g; what of it rounding leaves, a
framework may send on to the largest entries, or not if it holds m constant. Both are within the
bound, and no decision is made at ties: `crosscheck.program.compounds`.

**What is proved**: that each replacement is the same function wherever the original has a value
(algebra, in the modules named), and that the bound holds for each of the ways taken at each of the
places. **What is not**: that these are all ways. `tests/test_recognised_bounds.py` puts programs of
other people's writing to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from weakref import WeakKeyDictionary

import numpy as np

from crosscheck.frontends import formulations
from crosscheck.frontends.entries import Entries, Indices, Reader
from crosscheck.frontends.functions import FunctionReader
from crosscheck.frontends.norms import Norm, NormReader
from crosscheck.frontends.rows import Found, RowReader
from crosscheck.frontends.traced import Source, TracedFunction
from crosscheck.operators.normalized import ways_of_norms
from crosscheck.operators.places import numbered
from crosscheck.program.alternatives import ways
from crosscheck.program.graph import Graph, Node, Var
from crosscheck.program.places import Places

__all__ = ["recognised"]

_BITS = 200
_MOST_TERMS = 16


def recognised(traced: TracedFunction) -> TracedFunction:
    """The function with what is a known compound in all known ways.

    Args:
        traced: As a frontend returns it.

    Returns:
        A function with the same inputs, outputs and comparisons. A step that was replaced has the
        source of the last of those that it was written in. Its ``shifts`` are the maxima that are
        nowhere left in it: only compounds of rows do without a maximum, for they are the same
        function whatever is taken away, so that nothing is sent down through it.
    """
    if traced not in _KNOWN:
        _KNOWN[traced] = _Rewriting(traced).function()
    return _KNOWN[traced]


_KNOWN: WeakKeyDictionary[TracedFunction, TracedFunction] = WeakKeyDictionary()


class _Rewriting:
    """A program in the making, node by node of another."""

    def __init__(self, traced: TracedFunction) -> None:
        self.traced = traced
        self.reader = Reader(traced.program)
        self.rows = RowReader(self.reader)
        self.functions = FunctionReader(self.reader)
        self.norms = NormReader(self.reader)
        self.graph = Graph()
        self.new: dict[int, Var] = {}
        self.sources: dict[int, Source] = {}

    def function(self) -> TracedFunction:
        """The function, rewritten."""
        program = self.traced.program
        asked = {each.node for each in self.traced.comparisons} | set(program.inputs.values())
        whole = replace(program, outputs={str(k): k for k in (*program.outputs.values(), *asked)})
        for number in whole.needed:
            before = len(self.graph.nodes)
            own = self._copied(program.nodes[number])
            found = self._replaced(number, program.nodes[number], own)
            self.new[number] = own if found is None else found
            if number in self.traced.sources:
                source = self.traced.sources[number]
                for each in {*range(before, len(self.graph.nodes)), self.new[number].number}:
                    self.sources.setdefault(each, source)
        rewritten = self.graph.program(
            {name: self.new[number] for name, number in program.inputs.items()},
            {name: self.new[number] for name, number in program.outputs.items()},
        )
        left = set(rewritten.needed)
        shifts = {n for n in program.needed if program.nodes[n].op == "max"}
        return replace(
            self.traced,
            program=rewritten,
            shifts=frozenset(n for n in shifts if self.new[n].number not in left),
            sources=self.sources,
            comparisons=tuple(
                replace(each, node=self.new[each.node].number) for each in self.traced.comparisons
            ),
        )

    def _copied(self, node: Node) -> Var:
        operands = [self.new[each] for each in node.inputs]
        return self.graph.apply(node.op, operands, node.shape, **node.settings)

    def _replaced(self, number: int, node: Node, own: Var) -> Var | None:
        """A compound in place of a node; ``None`` if it is none."""
        sums = (
            self._in_rows,
            self._affine,
            self._binary_cross_entropy,
            self._of_one,
            self._corners,
        )
        each: dict[str, tuple[Callable[[Entries, Var], Var | None], ...]] = {
            "mul": (self._in_rows, self._norm, self._of_one),
            "elementary": (self._in_rows, self._of_one, self._called),
            "add": sums,
            "difference": sums,
            "softmax": (self._in_rows,),
            "log_softmax": (self._in_rows,),
            "log_sum_exp": (self._of_one, self._in_rows),
            "times_constants": (self._constant_product, self._of_one),
            "sum": (self._cross_entropy,),
            "contract": (self._attention, self._constant_product),
        }
        entries = Entries(number, numbered(node.shape))
        if not entries.at.size:
            return None
        for pattern in each.get(node.op, ()):
            found = pattern(entries, own)
            if found is not None:
                return found
        return None

    def _var(self, entries: Entries) -> Var:
        """Entries as an array."""
        return _taken(self.new[entries.node], entries.at)

    # -- rows ------------------------------------------------------------------------------

    def _in_rows(self, entries: Entries, own: Var) -> Var | None:
        for pattern in (self.rows.softmax, self.rows.log_softmax, self.rows.log_sum_exp):
            found = pattern(entries)
            if found is not None:
                return self._compound(found)
        return None

    def _compound(self, found: Found) -> Var | None:
        """The compound, at the places that were found."""
        rows = self._rows(found)
        if found.kind == "softmax":
            value = formulations.softmax(rows)
        elif found.kind == "log_sum_exp":
            value = formulations.log_sum_exp(rows)
        elif rows.kept is None:
            value = formulations.log_softmax(rows, found.is_of_shares)
        else:
            return None
        return _taken(value, found.places).times(found.sign)

    def _rows(self, found: Found) -> formulations.Rows:
        """The rows, in their order, and what the largest is taken of."""
        shift = found.powers.shift
        return self._rows_at(found, found.powers.z.at, None if shift is None else shift.at)

    def _rows_at(self, found: Found, table: Indices, source: Indices | None) -> formulations.Rows:
        """Rows at some places, -1 for what is left out.

        Args:
            found: Of what.
            table: Places of z.
            source: Places of what the largest is taken of; those of z for ``None``.
        """
        powers, kept = found.powers, None
        if (table < 0).any():
            kept = Places(np.where(table >= 0, numbered(table.shape), -1).ravel().tolist())
            table = np.where(table >= 0, table, table.max(axis=-1, keepdims=True))
        z = self._var(Entries(powers.z.node, table))
        is_shifted = powers.shift is not None or found.is_called
        if powers.shift is None or source is None:
            return formulations.Rows(z, z, is_shifted, kept)
        return formulations.Rows(z, self._var(Entries(powers.shift.node, source)), is_shifted, kept)

    def _cross_entropy(self, entries: Entries, own: Var) -> Var | None:
        """Σ y log softmax(z) over whole rows."""
        terms = self.reader.reduced(entries)
        if (terms.at < 0).any():
            return None
        constant, of = self.reader.scaled(terms)
        for y, logarithm in self.reader.operands(of, "mul"):
            sign, inner = self.reader.scaled(logarithm)
            found = self.rows.log_softmax(inner)
            if found is None or (y.at < 0).any() or (found.powers.z.at < 0).any():
                continue
            count, n = found.powers.z.at.shape
            place = found.places
            groups = _whole_rows(place.reshape(-1, place.shape[-1]), n)
            if groups is None or place.size != count * n:
                continue
            order = np.argsort(place.ravel())
            targets = _taken(self.new[y.node], y.at.ravel()[order].reshape(count, n))
            rows = self._rows(found)
            own_way = formulations.log_softmax(rows, found.is_of_shares)
            total = formulations.cross_entropy(
                rows.z, targets, own_way, groups.ravel().tolist(), len(groups)
            )
            return _taken(total, numbered(entries.at.shape)).times(-found.sign, sign, constant)
        return None

    def _attention(self, entries: Entries, own: Var) -> Var | None:
        """softmax(z) V."""
        left, right = self.reader.program.nodes[entries.node].inputs
        shares = self.reader.entries(left)
        found = self.rows.softmax(shares)
        if found is None or found.column is None:
            return None
        z, first, shift = found.powers.z.at, found.row[..., 0], found.powers.shift
        table = np.where(found.column >= 0, z[found.row, found.column], -1)
        is_whole = (
            (np.sort(table, -1)[..., -z.shape[-1] :] == z[first]).all()
            if (table.shape[-1] >= z.shape[-1])
            else False
        )
        if not is_whole or (found.row != first[..., None]).any():
            return None
        rows = self._rows_at(found, table, None if shift is None else shift.at[first])
        v = self.new[right]
        product = rows.z.softmax_product(v, rows.kept)
        return ways((*rows.operands, v), formulations.softmax(rows) @ v, product)

    # -- constants about matrix products ------------------------------------------------------

    def _constant_product(self, entries: Entries, own: Var) -> Var | None:
        """c A B with the constant put to any of the three, or its root to both."""
        program, number = self.reader.program, entries.node
        constant, of = Fraction(1), program.nodes[number]
        if of.op == "times_constants":
            constant = math.prod(of.settings["constants"], start=constant)
            of = program.nodes[of.inputs[0]]
        if of.op != "contract":
            return None
        sides = []
        for each in of.inputs:
            side = self.new[each]
            if side.node.op == "times_constants":
                constant *= math.prod(side.node.settings["constants"], start=Fraction(1))
                side = Var(self.graph, side.node.inputs[0])
            sides.append(side)
        a, b = sides
        if _is_power_of_two(abs(constant)) or not constant:
            return None
        found = [own, (a @ b).times(constant), a.times(constant) @ b, a @ b.times(constant)]
        root = _root(abs(constant))
        found.append(a.times(root) @ b.times(constant / root))
        return ways((a, b), *found) if _is_made_of(own, (a, b)) else None

    # -- norms ------------------------------------------------------------------------------

    def _norm(self, entries: Entries, own: Var) -> Var | None:
        found = self.norms.found(entries)
        if found is None:
            return None
        value = self._normalized(found)
        for each in found.rest:
            value = value * self._var(each)
        value = value.times(found.constant)
        operands = [self.new[each.node] for each in (found.rows, *found.rest)]
        return ways(operands, own, value) if _is_made_of(own, operands) else value

    def _normalized(self, found: Norm) -> Var:
        rows = self._var(found.rows)
        make = formulations.standardized if found.is_centred else formulations.normalized
        n = rows.shape[-1]
        return _taken(make(rows, found.share, found.eps), found.row * n + found.column)

    def _affine(self, entries: Entries, own: Var) -> Var | None:
        """w x̂ + b, with the mean taken away first or last."""
        found = self.reader.addends(entries)
        if len(found) != 2:
            return None
        for (factor, product), (minus, bias) in (found, found[::-1]):
            norm = self.norms.product(product)
            if norm is None or not norm.is_centred or len(norm.rest) > 1 or (bias.at < 0).any():
                continue
            count, n = norm.rows.at.shape
            if norm.share * n != 1:
                continue
            place = norm.row * n + norm.column
            if place.size != count * n or len(np.unique(place)) != place.size:
                continue
            order = np.argsort(place.ravel())
            return self._folded(norm, factor, Entries(bias.node, bias.at), minus, order, own)
        return None

    def _folded(
        self, norm: Norm, factor: Fraction, bias: Entries, minus: Fraction, order: Indices, own: Var
    ) -> Var | None:
        z = self._var(norm.rows)
        shape = z.shape
        parameters, is_same = [], True
        for each in (*norm.rest, bias):
            table = each.at.ravel()[order].reshape(shape)
            is_same = is_same and bool((table == table[:, :1]).all())
            parameters.append((each.node, table))
        own_each = [
            _taken(self.new[node], table[:, :1] if is_same else table) for node, table in parameters
        ]
        b = own_each[-1].times(minus)
        w = own_each[0] if norm.rest else b.graph.ones(b.shape)
        w = w.times(norm.constant, factor)
        if is_same:
            found = ways_of_norms(z.transposed, w.transposed, b.transposed, norm.eps, (-2,))
            found = tuple(each.transposed for each in found)
        else:
            found = ways_of_norms(z, w, b, norm.eps, (-1,))
        n = shape[-1]
        operands = [self.new[norm.rows.node], *(self.new[node] for node, _ in parameters)]
        place = norm.row * n + norm.column
        results = [_taken(each, place) for each in found]
        return ways(operands, own, *results) if _is_made_of(own, operands) else None

    # -- functions of one number ------------------------------------------------------------

    def _of_one(self, entries: Entries, own: Var) -> Var | None:
        found = self.functions.found(entries)
        if found is None:
            return None
        border = self.new[found.x.node]
        if not _is_made_of(own, (border,)):
            return None
        x = self._var(found.x).times(found.factor)
        return formulations.of_one_number(found.function, x, found.times, border, own)

    def _called(self, entries: Entries, own: Var) -> Var | None:
        """A call of a function whose derivative people write in its result."""
        settings = self.reader.program.nodes[entries.node].settings
        name = settings["function"]
        if name not in formulations.BY_RESULT or settings["order"] or settings["row"] != name:
            return None
        x = Var(self.graph, own.node.inputs[0])
        return formulations.of_one_number(name, x, Fraction(1), None, None)

    def _corners(self, entries: Entries, own: Var) -> Var | None:
        """A sum with max(x, 0) and softplus(-|x|) among its terms, whose kinks cancel."""
        addends = self.reader.addends(entries)
        if not 2 < len(addends) <= _MOST_TERMS:
            return None
        for i, (a, one) in enumerate(addends):
            for j, (b, other) in enumerate(addends):
                x = None if i == j else self.functions.corner(a, one, b, other)
                if x is None:
                    continue
                value = self._var(x).elementary("softplus").times(a)
                for k, (factor, each) in enumerate(addends):
                    if k not in (i, j):
                        value = value + self._var(each).times(factor)
                return value.either(own)
        return None

    def _binary_cross_entropy(self, entries: Entries, own: Var) -> Var | None:
        """c (y softplus(-u) + (1 - y) softplus(u)), which is c (softplus(u) - y u)."""
        addends = self.reader.addends(entries)
        if len(addends) != 2:
            return None
        for (one, of_y), (other, of_rest) in (addends, addends[::-1]):
            c, first = self.reader.factors(of_y)
            d, second = self.reader.factors(of_rest)
            if len(first) != 2 or len(second) != 2:
                continue
            for y, p in (first, first[::-1]):
                for rest, q in (second, second[::-1]):
                    found = self._logits(y, p, rest, q)
                    if found is None or c * one * found[0] != d * other * found[1]:
                        continue
                    _, _, factor, x = found
                    operands = self.new[x.node], self.new[y.node]
                    if not _is_made_of(own, operands):
                        continue
                    u, targets = self._var(x).times(factor), self._var(y)
                    value = (u.elementary("softplus") - u * targets).times(c * one * found[0])
                    return ways(operands, own, value)
        return None

    def _logits(
        self, y: Entries, p: Entries, rest: Entries, q: Entries
    ) -> tuple[Fraction, Fraction, Fraction, Entries] | None:
        """κ, λ and u of p = κ softplus(-u), q = λ softplus(u), where rest is 1 - y."""
        parts = self.reader.addends(rest)
        ones = [c for c, each in parts if self.reader.node(each).op == "ones"]
        own = [c for c, each in parts if each.are(y)]
        if len(parts) != 2 or ones != [1] or own != [-1]:
            return None
        one, other = self.functions.softplus(p), self.functions.softplus(q)
        if one is None or other is None or not one.x.are(other.x):
            return None
        if one.factor != -other.factor:
            return None
        return one.times, other.times, other.factor, other.x


def _taken(x: Var, at: Indices) -> Var:
    """Entries of an array by place."""
    if at.shape == x.shape and (at == numbered(x.shape)).all():
        return x
    return x.take(Places(at.ravel().tolist()), at.shape)


def _whole_rows(groups: Indices, n: int) -> Indices | None:
    """The rows that each group is made of; ``None`` if it is not of whole rows."""
    ordered = np.sort(groups, axis=-1)
    if ordered.shape[-1] % n:
        return None
    parts = ordered.reshape(len(groups), -1, n)
    wanted = parts[..., :1] // n * n + np.arange(n)
    return None if (parts != wanted).any() else parts[..., 0] // n


def _is_made_of(result: Var, operands: Sequence[Var]) -> bool:
    """Whether a result is a function of these alone."""
    return all(each.op != "input" for each in formulations.steps_between(result, operands))


def _is_power_of_two(value: Fraction) -> bool:
    return all(part & (part - 1) == 0 for part in (value.numerator, value.denominator))


def _root(number: Fraction) -> Fraction:
    """Its square root, to within 2^-`_BITS`."""
    scaled = number * 4**_BITS
    return Fraction(math.isqrt(scaled.numerator // scaled.denominator), 2**_BITS)
