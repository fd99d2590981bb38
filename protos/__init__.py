"""The wire format, and the Python code that protoc generates from it."""
