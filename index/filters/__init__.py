"""Which items fit a filter."""
