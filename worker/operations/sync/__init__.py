"""A list is the truth of who is a guest: the operation `sync`."""
