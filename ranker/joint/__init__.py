"""The joint cross-encoder, for comparison."""
