"""Users of the shop: their events, and what operators may ask about them."""
