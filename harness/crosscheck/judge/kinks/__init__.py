"""Open gates: which slopes explain a gradient, whether any do, and what they are worth."""
