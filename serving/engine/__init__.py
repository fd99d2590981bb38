"""The cascade: resolves a request, recalls, ranks, builds the answer."""
