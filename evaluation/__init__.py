"""How good lists are: arrays in, floats out. Knows no model, no file and no data frame."""
