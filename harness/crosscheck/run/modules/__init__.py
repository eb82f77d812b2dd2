"""Models of the user's, whole: read as programs, watched operation by operation, and judged.

loading     what the words of a command line name: a model, numbers for it, a loss
reading     what is asked of a library, and the table of libraries
jax_        JAX: functions of trees of arrays
checking    the verdict: bounds of the whole, and each operation held to its own
outcome     what came of it, as a record
"""
