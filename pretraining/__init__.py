"""Pre-trains a backbone on a shop's own texts and on what was bought together."""
