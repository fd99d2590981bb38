"""Under which names users are stored, and which users are erased."""
