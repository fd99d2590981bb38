"""Pretrained BERT models and what the towers and the ranker share in reading and training them."""
