"""Artefacts on disk: written whole or not at all, and tied to their inputs by fingerprints."""
