"""A vector store in Milvus."""
