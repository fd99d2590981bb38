"""Measures quality and speed against baselines and peers; no other package imports it."""
