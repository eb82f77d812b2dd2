"""The frameworks under test: what an adapter offers, the three adapters, and their registry."""
