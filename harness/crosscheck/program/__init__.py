"""Programs: straight-line sequences of primitives, their derivatives, and what runs them."""
