"""Quality of recommended lists: arrays in, floats out. Knows no model, file or data frame."""
