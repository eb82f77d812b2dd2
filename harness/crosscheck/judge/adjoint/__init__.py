"""The adjoint certificate: a bound on one entry of a gradient, by the mean value theorem.

An a-priori bound (`crosscheck.numbers.enclosure`) is carried from each value to the next, so that
errors which cancel on the way to a result are added up. Here each rounding error is charged with
what it can do to the result, along all ways there at once; nothing of second order is left out.
The idea is Bauer's (*Computational graphs and rounding error*, SIAM J. Numer. Anal. 11, 1974);
FPTaylor (Solovyev et al., 2015) and Satire (Das et al., 2020) bound the first derivatives over a
box as is done here.

**The bound.** A gradient is a program v_i = φ_i(v_<i) (`crosscheck.program.graph`). For decisions
that are the same for both, the exact evaluation and a framework's,

    v̂_i = φ_i(v̂_<i) + ε_i,    |ε_i| <= l_i.

Let v_i(t) = φ_i(v_<i(t)) + t ε_i, so that v(0) is exact and v(1) is what the framework holds.
Then v_i' = Σ_j (∂φ_i/∂v_j) v_j' + ε_i, and a result changes by

    |v̂_out - v_out| = |∫ Σ_i ε_i (∂v_out/∂v_i)(t) dt| <= Σ_i l_i sup |∂v_out/∂v_i|,

with the supremum over any box that holds all v(t). φ_i need not be smooth: where a piecewise
function is at a breakpoint for a set of t that counts, its argument stands still there, and any
slope between the extremes times 0 is right; so v(t) is absolutely continuous, and the derivatives
are taken with all slopes that the box allows. The slope at a kink that a gradient is *made of* is a
constant factor, the decision λ, given or else any there is.

**The box and l_i in one pass.** The rules of enclosures bound, for operands q known to within r
with errors e, the error of the result. Node i is evaluated on operands (c, R, 0): balls of radius R
about the reference's values c, held without an error, for any number in a ball is one that a
framework may hold. What comes out is (c_i, r_i, e_i) with |φ_i(q) - c_i| <= r_i and a rounding
error of at most e_i for all q in the balls: so l_i = e_i, and R_i = r_i + e_i is the radius about
c_i that holds every v_i(t), since |v_i(t) - c_i| <= |φ_i(v(t)) - c_i| + t |ε_i|. By induction all
v(t) are in the box. Where R = 0 everyone has the same number, and the exactness certificate goes on
to hold. Slopes that are neither certain over the box nor decided are enclosed between their
extremes.

**Sums that are open.** A sum of products takes addends before it is rounded, in any order
(`OpenSum`): its rounding is charged where it closes. If j is an open sum and i adds to it, v_i is a
function of j's operands, not of v̂_j, and l_i bounds the rounding of the whole sum. So the use of j
by i carries no l_j; uses that need the number v̂_j do.

**Several ways to a number.** A framework may compute v_i from v_<i in another way than this program
does, by other values in between (`crosscheck.program.compounds`). That it is the same function is
known; so ε_i is all that rounding may do on its way from v_<i, which the rules for enclosures bound
with the errors of the values in between carried along, for any numbers in the balls.

**One number, or one for each use.** Above, v̂_i is one number for all that use it, as in a library
that stores what it has computed. A compiler may put the computation of v_i into each of the loops
that use it, where it rounds differently, say with other fused multiply-adds. Let then each use u of
node i have a copy v̂_i^u = φ_i(…) + ε_i^u of its own, |ε_i^u| <= l_i, all of them from the same
copies of i's operands (those that were made for i). The same argument gives

    |v̂_out - v_out| <= Σ_i l_i Σ_u sup |∂v_out/∂v_i^u|,

where ∂v_out/∂v_i^u is what use u sends down, for all copies of u together. The derivative of the
first form is the sum of these over u, so that the second bound is never the smaller one. It holds
where every node is computed anew for each node that uses it. Values computed anew along every
*path*, each time from other operands, are beyond it; the a-priori bound holds for them too.

**What is compared.** The reference c errs by r by the a-priori rules with the unit of its own
arithmetic, 2^29 times finer than float32 and 2^49 times than float64, and so never counts. An entry
fails if |given - c| > r + bound. ∞ is the bound where anything may overflow.

**Forward mode** is another program for the same numbers, `crosscheck.judge.adjoint.forward`: a
tangent for each entry goes up with the values, and the same derivation holds.

**Expected error.** If the ε_i were independent and of mean zero, the error would have a standard
deviation of at most the root of the sum of the squares of the same terms: a measure of what is
usual, and no bound.

**Rounding of the bounds.** The derivatives are evaluated on balls (`crosscheck.numbers.balls`) with
float64 centres, which hold what the rounding of the centres does; sums and products of bounds go
through `up`. Entries that are looked at together are one product of matrices, so that the last bits
of a bound depend on which these are.
"""
