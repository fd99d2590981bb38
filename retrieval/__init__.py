"""First half of the cascade: user tower and recall sources, features, shortlists."""
