"""What is measured of frameworks and of this package, kept as tables."""
