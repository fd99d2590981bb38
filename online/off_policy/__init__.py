"""Off-policy estimates: what a ranking would have earned, from answers of another that explored."""
