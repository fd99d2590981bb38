"""The ranker: reads a history and a candidate together and scores how well they fit."""
