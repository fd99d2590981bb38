"""What lies between the network and the services: addresses, TLS, limits before authentication."""
