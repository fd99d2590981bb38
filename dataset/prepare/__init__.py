"""The data stage: tables in, arrays out. The only modules outside `benchmarks` that use polars."""
