"""What shoppers did: events, and stores that keep them."""
