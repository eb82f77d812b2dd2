"""What is wrong with a gradient, as the one step at which it would come of the reference."""
