"""Recall and NDCG beside baselines and peers."""
