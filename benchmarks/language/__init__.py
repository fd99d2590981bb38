"""Tasks on texts: classification, numbers, search."""
