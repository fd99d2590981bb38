"""Measures the speed of encoding, ranking and serving against peers."""
