"""The loop that closes: gather, check, refit, score, gate, publish, and say what happened."""
