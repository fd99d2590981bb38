"""Simulations that show whether the statistics of `online` keep their promises."""
