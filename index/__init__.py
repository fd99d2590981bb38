"""FAISS over item embeddings: build, search, save."""
