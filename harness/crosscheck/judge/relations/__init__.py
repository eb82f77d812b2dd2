"""The certificate of relations: returned arrays held to each other, where only outputs are known.

moves       what a node's value says of the node that it is a rearrangement of
factors     one factor of a product from the product and the other
bounds      all that returned arrays say of each other, in one arithmetic
words       a relation in words
judge       all relations, and what they say of a gradient
"""
