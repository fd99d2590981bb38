"""Experiments: who takes part, what is compared, and when a difference is certain."""
