"""Speed of encoding, ranking and serving beside peers."""
