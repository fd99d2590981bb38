"""Interceptors of every call: telemetry, authentication, error statuses."""
