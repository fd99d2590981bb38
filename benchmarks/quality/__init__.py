"""Measures recall and NDCG against baselines and peers."""
