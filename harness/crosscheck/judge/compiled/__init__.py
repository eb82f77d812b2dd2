"""Verdicts at framework speed: one compiled pass says which gradients certainly AGREE.

`crosscheck.judge.stacks.StackJudge` is the readable form, in NumPy: enclosures, gates, comparison.
The pass does the same work once for all frameworks, in registers: in
`crosscheck.judge.compiled.kernel` for eight cases side by side; in
`crosscheck.judge.compiled.wide`, where a network has many units, for eight units of one case. What
both do is written once, in `crosscheck.judge.compiled.rules` and
`crosscheck.judge.compiled.gradients`. What follows holds for both, since no bound depends on the
order of a sum. Its only answer is "AGREES for certain"; whatever it does not certify is put to
`StackJudge`, and what that does not certify to `Judge`. So what has to be shown is

    the pass says AGREES for a gradient  ⟹  StackJudge says AGREES.

**The comparison.** For an entry with exact value q let e be the bound of
`crosscheck.numbers.enclosure` on |q̂ - q|, in gradual underflow, and let the pass have a reference
c with |c - q| <= r and a number e' <= e. If |q̂ - c| + r <= e', then |q̂ - q| <= e, and then
`StackJudge` accepts q̂, whose test allows for e, for its own reference's error, and for forming
the difference. The same holds of J.

**Without the certificate of exactness** e is a formula in which every number is non-negative and
enters with a plus sign, or under a minimum: it does not decrease when the errors and magnitudes of
operands, or the numbers of terms, increase. The pass evaluates this formula with the same counts,
and with |c| + e' for the magnitudes |c| + r + e: that makes e' too small by r, and too large or
small by roundings. θ is replaced by the first three terms of the binomial series for
(1 + u)^K - 1, all positive, so by less. Roundings change e' by a relative 2^-40 at the most
(fewer than 2^12 operations, each by 2^-53, none of which subtracts).

**The certificate.** It makes e = 0 where a rounding formula says more, so it has to be noticed. It
speaks of sums with operands that are all exact (r = e = 0), multiples of 2^g in all their terms,
and M <= 2^(p+g); it says that every partial sum in every order, and so the sum and M, are numbers
of p bits. It is only looked for where both came out as such. The pass first tries a g for whole
arrays, which is no larger: the largest power of two that divides every number of an array, and
from there, by multiplication and minimum, every sum of a layer. Where that does not give the
certificate, it takes the g of the sum itself, that of `StackJudge`, term by term and only as long
as the terms seen do not already say that M is too large for it. So there are four kinds of sums
with operands of error 0 here:

    M <= 2^(p+g), 2^g >= η        the certificate is given. e' = 0, the reference is exact.
    no number of p bits           it is not given; the formula holds.
    M > 2^(p+g) for the sum's g   it is not given; the formula holds.
    M within 2^-40 of 2^(p+g)     or tiny: not known; the case is left open.

In sums over the rows of a batch, which are rare here, and nowhere but in the backward pass, the
second step is left out, and M <= 2^(53+g) is taken to give e' = 0, which is never too large, with
an exact reference. A single product of exact numbers has the lowest bit of either factor in its
own, so it is of p bits if and only if the certificate is given, η aside; e' = 0 is never too large.

By induction an operand that is exact to `StackJudge` has error 0 and an exact reference here, so
that no certificate is overlooked: an operand with an error here has one there. In the forward pass
errors are the same in both, up to roundings, as gates need. Where all bounds of a layer's sums are
0 by the certificate, how many of their terms are not zero is not counted, which only the formula
asks for. In float64 the reference is a number of
p bits if its low part is 0.

The residual d = a - y is such a sum of two terms, for which multiples of 2η are wanted. It may be
left unknown, with e' = 0, where d is a number of p bits, formed without error, and nothing hangs on
it: in a network with hidden layers and a single row, none of whose last hidden units is live. Then
its cotangent meets no live activation and is passed on to no live unit. What is halved, or divided
by a power of two B, keeps e' = 0; any other quotient has an error in both.

**The reference's error is a small part of e.** Let v = 2^-53.

*For p < 53* the reference is plain float64, so it is itself a correct evaluation in an arithmetic
of unit roundoff v: its error is at most the same formula with v for u. Every term of the formula
has a factor u, or (1 + u)^K - 1, which divided by u does not decrease with u. So r <= (v / u) e',
which is 2^-29 e' for float32.

*For float64* sums are compensated: with n products w a, TwoProd and TwoSum give the running sum
(or those of eight lanes, and then the sum of these) and what was rounded off, the latter at most
v |w a| for a product and v M (1 + n v) for an addition, M = Σ |w| (|a| + e'), and the low parts of
the operands add v |w a| more. Additions of zero round nothing off. These are added up in float64,
2 n + 2 numbers of at most (n + 3) v M in total, which loses at most
2 (n + 3)² v² M (Ogita, Rump, Oishi, SIAM J. Sci. Comput. 26, 2005, proposition 5.5, has the same
to first order). Where anything is rounded, e' >= ½ v M + carried. So r <= ρ e' by induction, with
ρ = 4 (n + 3)² v (1 + small): less than 2^-30 for n <= 1024, which is the most the pass takes. The
residual, the square, the quotient by B and products of two double words lose a few v² of
their size, for which e' has v: within the same ρ.

So the test |q̂ - c| <= (1 - 2^-20) e' implies |q̂ - c| + r <= (1 - 2^-40) e' <= e.

**Gates.** `StackJudge` needs |z| beyond the margin r + e (and the low part of its reference). Its
e, r and magnitudes are above those of the pass by no more than the relative amounts named, and θ
by its missing terms, less than (K u)³ of it; together less than `widen` - 1 = 2^-10 + (K u)³. A
gate with |z| > widen · e' is certain there too.

**Overflow.** `StackJudge` has e = ∞ where M (1 + θ) + U may reach the largest finite number. The
pass is only made for (1 + u)^K - 1 <= ½ and requires 2 M to be below that number in each sum, with
a product of maxima in place of M for dW. The cotangents of units that are off are sums like any
other here: they are formed, and held against the limit, before their gates are looked at, since a
framework that multiplies by the gate makes NaN of one that overflows (`Enclosure.__rmul__`). The
same holds of the residuals of outputs that are off. What is skipped for a unit that is off is dW
and db, whose cotangent is 0 by then, and the activation it is multiplied by is finite.

**Underflow, and numbers that are not numbers.** TwoProd is exact unless it underflows, and the
roundings of the bounds are relative unless they do. The pass tracks the smallest of what products
are formed of: non-zero weights, inputs and live activations; of residuals and cotangents the
error, or the size where they are exact. A case is left open unless all of these are at least 2^-350
and the largest sum is below 2^900. Then a product of two that are exact is at least 2^-700 and its
rounding error no less than 2^-806: nothing is lost. Any other product has a bound of at least
2^-53 2^-700, and what underflows on the way to it or to its reference, a few times 2^-1074, is less
than 2^-300 of that. A square of a residual is such a product too, but for an output that is off:
its target's square may underflow, which is wrong by ½η at most, for which e has a ½η of its own
that is not in e'.

Inputs are compared with 2^1000, and so is each sum of magnitudes: a NaN or an infinity in any array
of the case fails one of these comparisons, since infinity times zero is NaN. A gradient that is NaN
fails its comparison with the bound. A power of two that is too small for float64 becomes 0, which
certifies less; one that is too large, ∞, is a multiple of numbers that are all zero, since others
would have failed the comparison with 2^900, and of zero every power of two is a divisor.

**Error / bound** is formed with (1 - 2^-20) e', so that it is above what `StackJudge` reports by
about 10^-6 of itself, up to r / e' <= 2^-29 which two references may differ by; where e' = 0 stands
for something unknown it may be above by more.
"""

from crosscheck.judge.compiled.judge import WITHOUT_NUMBA, FusedJudge, is_compiled

__all__ = ["WITHOUT_NUMBA", "FusedJudge", "is_compiled"]
