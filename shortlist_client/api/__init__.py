"""Requests and answers as plain Python objects."""
