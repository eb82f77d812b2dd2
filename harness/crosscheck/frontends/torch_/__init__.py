"""Functions and modules of PyTorch as programs."""
