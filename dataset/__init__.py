"""Interactions and items as memory-mapped arrays, and the data stage that writes them."""
