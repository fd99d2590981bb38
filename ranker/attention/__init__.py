"""The default ranker: candidates attend to the history's items."""
