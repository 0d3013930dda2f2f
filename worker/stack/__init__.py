"""The private stack: a server, a worker and the rest on one machine, for the commands that need them."""
