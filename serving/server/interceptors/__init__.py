"""What wraps every call: telemetry, authentication, statuses."""
