"""Events, the interactions that shoppers report, and the stores that hold them."""
