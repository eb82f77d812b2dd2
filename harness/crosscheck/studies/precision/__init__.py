"""How often the derivative of ReLU at 0 matters: a study by precision, width, depth and batch.

Bertoin, Bolte, Gerchinovitz and Pauwels, *Numerical influence of ReLU'(0) on backpropagation*
(NeurIPS 2021), found that the number λ = ReLU'(0) changes what backpropagation returns: nearly
always in 16 bits, sometimes in 32, never in 64. Here the same is measured on fully connected
networks at their initialisation, with scikit-learn's digits as data:

- Each trial draws a network and a minibatch. A framework computes the gradient twice, in the
  dtype asked for, and only λ differs: ``where(z > 0, z, 0)`` has λ = 0, ``where(z >= 0, z, 0)``
  has λ = 1. λ *matters* if any entry of the gradient with respect to the parameters is another
  number. +0 and −0 are the same number, and so are two NaNs.
- The gates of the same networks are put into classes by proof (`gates.count_gates`): *kink* where
  the pre-activation z is exactly zero in exact arithmetic, *undecided* where z is not zero and a
  correct evaluation may land on either side of it or on it. At all other gates every correct
  evaluation has z ≠ 0, so that λ cannot matter there.

The share of these *open* gates is a worst case over all correct evaluations, the share of trials
is what one evaluation did. So open gates are necessary for λ to matter and far from sufficient:
the framework's own z has to be zero. A trial in which λ mattered and no gate is open contradicts
this and is counted as *unexplained*.
"""
