"""The local certificate: every step of a gradient held to its own bounds.

record      what a framework held at each step
programs    a step as a program
step        one step held to its own bounds
check       what was found, and what that says of each case
decided     the decisions that were read, as readings of a whole network
judge       all steps, and how they hang together
"""
