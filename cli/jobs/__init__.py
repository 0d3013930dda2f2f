"""`usher jobs`."""
