"""Who may call what, how much and for how long."""
