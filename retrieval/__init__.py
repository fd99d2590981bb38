"""First half of the cascade: the user tower, the recall sources, features and shortlists."""
