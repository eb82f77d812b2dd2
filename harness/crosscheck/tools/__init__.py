"""Files, interrupts, compiling, counted work: what knows nothing of gradients."""
