"""A vector store in a Milvus cluster."""
