"""Artefacts on disk: written whole or not at all, and tied to what they were made from."""
