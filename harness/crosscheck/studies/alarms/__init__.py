"""Right gradients computed in unusual ways, and how often a checker accuses one of them.

A verdict that follows from a bound on every order of summation has to hold what nobody thought of
when the bound was written. So the same gradient is computed here in some sixty ways (`catalogue`),
each of them right, in every dtype, and put to the verdicts in great numbers (`measure`).

Nothing here is taken from the reference: the formulas are written down once more.
"""
