"""Networks: the dense one by hand, exactly and in symbols; those of operators; their files."""
