"""User tower and item tower: encode shoppers and items into one embedding space."""
