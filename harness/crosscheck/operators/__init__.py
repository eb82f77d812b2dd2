"""What a network is made of besides sums of products."""
