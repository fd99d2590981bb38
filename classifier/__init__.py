"""BERT with heads on top: labels, hierarchies of labels and numbers from texts."""
