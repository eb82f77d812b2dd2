"""Functions as their users write them, right and wrong; see `test_examples`."""
