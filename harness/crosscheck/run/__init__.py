"""Runs: cases in, gradients from every framework, verdicts, events out."""
