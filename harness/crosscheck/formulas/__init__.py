"""Formulas as trees, and how a tree is written: as text, as LaTeX, as MathML.

What has a formula to show (a step of a derivation, a closed form, an operator) builds a tree of the
kinds in `crosscheck.formulas.tree`. One walker (`crosscheck.formulas.writing`) puts the brackets;
how each kind, each sign and the brackets are spelt is a table, one for each way of writing:
`crosscheck.formulas.text`, `crosscheck.formulas.latex`, `crosscheck.formulas.mathml`.

A new kind of node is a class in the tree, which says how tightly it binds and what its parts are,
and one entry in each of the tables.
"""
