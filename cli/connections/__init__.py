"""`usher connections`."""
