"""Finds, names and reads the files of a table."""
