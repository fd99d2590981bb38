"""Measures recall, latency and memory of the vector index."""
