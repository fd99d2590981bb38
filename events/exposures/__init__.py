"""Exposures, the answers that were shown, and the parts of the event stores that hold them."""
