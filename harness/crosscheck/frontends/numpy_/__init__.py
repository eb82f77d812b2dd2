"""NumPy functions of the user's, read as programs; `crosscheck.frontends.numpy_.trace` begins."""
