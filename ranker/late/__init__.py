"""The late-joining ranker: candidates attend to the history only in the top layers."""
