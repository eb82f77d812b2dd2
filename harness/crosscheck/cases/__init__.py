"""Cases: drawn by Hypothesis, from seeds, and by number; on kinks, beside them, and elsewhere."""
