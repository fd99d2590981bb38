"""Reports, plots and tables of benchmark results."""
