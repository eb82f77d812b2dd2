"""Verdicts: what may be said of a gradient, by proof."""
