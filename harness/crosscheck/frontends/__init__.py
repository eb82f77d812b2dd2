"""Functions of the user's, read as programs."""
