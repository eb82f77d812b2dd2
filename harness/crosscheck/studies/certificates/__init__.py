"""What each certificate catches, side by side, in networks as wide and as deep as real ones.

Faults are planted in a gradient that is computed step by step (`crosscheck.studies.simulated`):

    an entry      one random non-zero entry of one array that a step sends down is wrong by a factor
                  1 + 2^-k. Where that array is returned, nothing follows from it; where it is a
                  cotangent that steps below go on from, all that they send follows.
    structural    a whole cotangent is zero, doubled, negated, or 1 % too large; or what is returned
                  for the weights and the biases of one layer has the wrong sign

A fault is in what a step *sends*, so the step's operands and its cotangent, and with them the
bounds on what it may send, are those of the right gradient. These bounds are formed once, and any
number of faults is held against them entry by entry; steps below a fault compute what they should
of what they have, and are inside theirs. What is said in this way is compared with the verdicts of
`crosscheck.judge.door` on some of the faults of each setting.

What the certificates are asked:

    a-priori     is any entry beyond its bound? Where gates are open, beyond the bound that holds
                 for any decisions; the search for decisions, which may refute a little more, takes
                 hours at such sizes.
    adjoint      is an entry that is looked at beyond its bound? Of a fault in one returned entry it
                 is asked about that entry, though a run looks at few: how many is reported. Of any
                 other fault it is asked about those that a run looks at.
    local        is what the step sent beyond the step's own bound?
"""
