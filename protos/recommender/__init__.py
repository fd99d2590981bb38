"""Version by version, what callers may rely on."""
