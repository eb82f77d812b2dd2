"""Operators: what networks are made of, one file each, with their lines of source."""
