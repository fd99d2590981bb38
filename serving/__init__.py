"""The cascade behind gRPC: wire, engine, stages."""
