"""Arrays in, floats out: metrics, intervals, exact search, simple baselines."""
