"""Customer service: the FAQ entry that answers a question, how sure that is, and what is said."""
