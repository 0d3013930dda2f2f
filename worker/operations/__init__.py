"""What may be done to a guest: the protocol, the registry, and a module for each operation."""
