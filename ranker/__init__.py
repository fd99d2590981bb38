"""The ranker: reads a history and a candidate together and says how well they fit."""
