"""Engine and cascade: resolve a request, recall, rank, build the answer."""
