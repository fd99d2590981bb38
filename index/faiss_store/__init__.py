"""A vector store in this process, built on FAISS."""
