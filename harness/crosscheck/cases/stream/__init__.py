"""Cases by number: the generator of a sweep, readable and compiled."""
