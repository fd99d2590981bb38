"""Queues requests and answers them in batches in the engine's thread."""
