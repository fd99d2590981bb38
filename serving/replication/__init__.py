"""Logs of item changes that one server writes and others follow."""
