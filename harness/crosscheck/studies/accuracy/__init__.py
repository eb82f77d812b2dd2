"""How accurate the elementary functions of frameworks are, and their derivatives.

Every function of `crosscheck.numbers.elementary`, in every formulation, mode and dtype, is put to
numbers of the dtype: to all of them in 16 bits, to every 401st in float32, to a sample in float64.
The value, and the first two derivatives as automatic differentiation returns them, are held to the
exact ones.
"""
