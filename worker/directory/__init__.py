"""What a tenant says: who is there, and what it allows."""
