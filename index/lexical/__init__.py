"""Words as a recall source: BM25 over the items' texts, memory-mapped."""
