"""Verdicts on gradients of networks of operators, by the program that they expand to."""
