"""The data stage: every module that reads or writes tables."""
