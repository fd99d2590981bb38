"""Converts between plain Python objects and protobuf messages."""
