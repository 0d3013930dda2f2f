"""Does it work: a connection, its permissions and credential, the whole installation."""
