"""The attention ranker, the default: candidates attend to the items of the history."""
