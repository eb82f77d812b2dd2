"""The dense network: its reference by hand, exactly and in symbols, and its files."""
