"""Recall, latency and memory of the vector index."""
