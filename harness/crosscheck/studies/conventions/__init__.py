"""What every framework does at the kink: measured, kept as a baseline, and explained."""
