"""A vector store in this process, by FAISS."""
