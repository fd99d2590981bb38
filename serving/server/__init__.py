"""The gRPC server: servicers, interceptors, metrics, access control."""
