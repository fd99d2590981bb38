"""User tower and item tower: what a shopper wants and what an item is, in one space."""
