"""Queues requests and runs them through the engine in batches."""
