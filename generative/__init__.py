"""Generative recall: items as semantic ids, which a small decoder writes code by code."""
