"""The subcommands of `python -m serving`."""
