"""Recall sources: the vector index over item embeddings, and item-kNN neighbour lists."""
