"""Exploration: a share of the places of an answer goes to items drawn at random."""
