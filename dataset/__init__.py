"""Interactions and items: sources, cleaning, split, text, and the arrays made of them."""
