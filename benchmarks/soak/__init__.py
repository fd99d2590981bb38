"""Mixed load on two replicas while one of them is killed: nothing may be lost or wrong."""
