"""Faults in ourselves: what the tests must notice, planted one at a time."""
