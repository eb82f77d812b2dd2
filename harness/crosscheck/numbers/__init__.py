"""The number types that the reference runs on besides NumPy floats."""
