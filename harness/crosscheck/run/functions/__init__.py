"""Functions of the user's compared with their formula."""
