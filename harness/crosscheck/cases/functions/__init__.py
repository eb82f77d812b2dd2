"""Cases of a user's function: shapes by name, what arguments range over, and records of numbers."""
