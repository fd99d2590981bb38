"""The gRPC services: translate requests, call the engine, translate answers."""
