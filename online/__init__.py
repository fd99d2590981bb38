"""Experiments, exploration and off-policy estimates over what shoppers were shown."""
