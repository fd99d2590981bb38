"""Pretrained BERT models: loading, encoding and fine-tuning, for the towers and the ranker."""
