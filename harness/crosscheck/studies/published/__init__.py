"""Models that nobody here has written, whole: read, certified, and with a planted fault.

jax_models     from Equinox, Flax and Optax
torch_models   from Transformers
plant          a fault in one operation of a model
measure        what is said of each
page           the table for people
"""
